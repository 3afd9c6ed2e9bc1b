"""The engine of the configuration: layers, merging, checks, modes, names. `config` brings the sections to it."""
