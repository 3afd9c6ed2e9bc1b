"""With which Pythons and which versions of its packages the toolbox runs: tried quickly, tried whole, and locked.

Runs on a bare Python: only what comes with it is imported here.
"""
