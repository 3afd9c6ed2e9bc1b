"""Classical methods: mean skin colour in, pulse wave out, nothing learned."""
