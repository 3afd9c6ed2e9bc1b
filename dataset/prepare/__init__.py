"""From a DATA node to recordings that are ready."""
