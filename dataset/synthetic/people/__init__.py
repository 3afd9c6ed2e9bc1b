"""People that nobody has seen: modelled heads with skin, eyes, brows and hair that are computed."""
