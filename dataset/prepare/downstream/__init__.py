"""From the raw files of published data sets to windows divided for a task; one data set per file."""
