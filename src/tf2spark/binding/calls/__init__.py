"""The checks of a whole call."""
