"""tf2spark and its peers on the same data, alternately, in one run: ``python -m benchmarks``."""
