"""Methods against each other: what runs share, tests paired by person, published numbers beside, tables and plots."""
