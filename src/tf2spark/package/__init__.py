"""The form in which a model ships: its files named by SHA-256, and each host's cache of them."""
