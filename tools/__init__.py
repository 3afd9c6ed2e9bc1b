"""Small programs for users: the demo, benchmarks, viewers."""
