"""Names under which CM-SSL is documented; what they run is in the other folders."""
