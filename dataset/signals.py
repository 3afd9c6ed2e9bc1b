"""Names by which shared code knows signals, whatever the data set that has them."""

PULSE_WAVE = "ppg"  # what is learned, put out and judged where nobody says otherwise
