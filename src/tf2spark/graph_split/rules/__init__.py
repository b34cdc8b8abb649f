"""One rule an op: what it does to forms."""
