"""Everything that touches the bytes of the cache."""
