"""Scoring columns whose types only the workers learn: column functions, and tables of pipelines."""
