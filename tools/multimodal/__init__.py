"""Programs for recordings of several sensors at once: record, check, align, simulate."""
