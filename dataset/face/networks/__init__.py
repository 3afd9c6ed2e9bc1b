"""Networks of face detectors: the only part of preprocessing that imports torch, and only when one is chosen."""
