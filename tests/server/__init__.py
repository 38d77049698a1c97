"""The trust server's use cases, judged without a network or a disk."""
