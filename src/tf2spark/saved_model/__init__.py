"""What a SavedModel says and what it may run, read without TensorFlow."""
