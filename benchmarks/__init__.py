"""tf2spark and its peers, alternating on the same data in one run: ``python -m benchmarks``."""
