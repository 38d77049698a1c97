"""An inventory as people pass it on: a page, or a sheet."""
