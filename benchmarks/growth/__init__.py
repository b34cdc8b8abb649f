"""How time and memory grow; one file for each kind of growth."""
