"""Classical methods: mean skin colour in, pulse wave out, nothing learned.

A method is `method(rgb, fs)`. One that filters or detrends by itself also takes `band` (Hz): with it, it leaves that to
the evaluation, which does it once and for every method alike.
"""
