"""One classical method per file; each registers a function `rgb (T, 3), fs -> pulse (T',)`."""
