"""A model that was read, and each call on it: `SavedModel` and the command line share them."""
