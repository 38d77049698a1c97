"""trustreg beside the real peers, see ``tests.peers``."""
