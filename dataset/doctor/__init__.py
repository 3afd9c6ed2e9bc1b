"""The data doctor: what is wrong with each recording, found before anybody trains on it.

`timing`, `label` and `picture` hold the checks, pure functions of arrays; `examine` runs them on one recording of the
cache, `page` writes the table and the HTML page, `run` is the mode behind `--doctor`.
"""
