"""Face videos with a known pulse, rendered from one public-domain photograph and a seed."""
