"""What a SavedModel contains and what it may run, read without TensorFlow."""
