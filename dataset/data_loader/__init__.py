"""Data sets, one file each: which recordings exist, how to read their videos and signals."""
