"""The algebra of `recommend`: splits a graph into what users, items and pairs each need."""
