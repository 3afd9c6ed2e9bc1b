"""Recordings, faces, cache, splits, clips: everything between raw data and a batch."""
