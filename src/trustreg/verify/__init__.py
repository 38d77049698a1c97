"""What is true: signatures, pinning, the client workflow."""
