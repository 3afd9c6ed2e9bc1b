"""Losses that need no label, one per file: what TRAIN.LOSS names in place of a method's own."""
