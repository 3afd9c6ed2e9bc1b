"""How much each recording moves, and whether its error goes with it."""
