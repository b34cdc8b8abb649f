"""Faults on real clusters: what breaks, and what a job promises when it does (`make chaos`)."""
