"""Three programs to begin with; the tests run them."""
