"""One driver per file; each registers itself."""
