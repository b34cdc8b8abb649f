"""The compiled model against the original: inputs to run both on, and the comparison."""
