"""Whose heart is it? Programs that prepare data, train, and decide between two videos: docs/pairing.md."""
