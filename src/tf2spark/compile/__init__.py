"""A SavedModel compiled ahead of time: the one place that imports TensorFlow's Python."""
