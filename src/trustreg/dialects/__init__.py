"""How metadata is written."""
