"""Rewrites of a frozen graph that keep its results and make it faster."""
