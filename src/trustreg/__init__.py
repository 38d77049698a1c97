"""Content trust for container registries."""
