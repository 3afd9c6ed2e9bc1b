"""The documentation site: written pages beside pages that are made from docstrings and registries."""
