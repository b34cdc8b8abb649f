"""The demo: train a small model on real data, export it, score it on a local Spark, show it."""
