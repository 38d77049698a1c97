"""What a developer runs, on a machine with nothing but Python: see ``test`` and ``demo``."""
