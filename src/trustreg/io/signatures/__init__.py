"""Where signatures of manifests are kept: beside registries, and in them."""
