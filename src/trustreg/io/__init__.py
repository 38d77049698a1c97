"""Adapters: everything that can fail for reasons outside the bytes."""
