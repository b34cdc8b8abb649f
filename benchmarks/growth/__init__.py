"""How time and memory grow, one module per kind of growth."""
