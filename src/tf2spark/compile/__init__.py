"""Compiling a SavedModel ahead of time; besides the demo, only this folder imports TensorFlow."""
