"""Hardware that is not there: what the drivers read in tests and rehearsals."""
