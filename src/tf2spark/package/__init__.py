"""The one thing that travels: a model's files under their SHA-256, and the host's cache of them."""
