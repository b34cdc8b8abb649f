"""The demo: trains a small model on real data, exports it, scores with it on local Spark."""
