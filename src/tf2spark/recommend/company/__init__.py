"""Rows of one side that may change each other's values."""
