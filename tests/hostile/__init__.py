"""Hostile models and packages: what they attack, where it hides, and a harness that runs them."""
