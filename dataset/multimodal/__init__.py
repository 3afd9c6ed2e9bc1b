"""Recordings of several sensors at once, each with its own clock: RGB, thermal, radar and finger PPG.

`layout` reads a recording, `appending` writes one that survives a kill; the rest puts them on one time axis.
"""
