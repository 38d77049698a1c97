"""What a hostile trust server can do to readers and publishers, and how each of it ends."""
