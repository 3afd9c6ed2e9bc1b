"""From predicted waves to rates, errors, plots and a report."""
