"""What writes the vectors: fixed keys, fixed randomness, so a rerun changes nothing."""
