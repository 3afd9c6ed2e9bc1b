"""report.html: everything a run has found, as one page that needs nothing from elsewhere."""
