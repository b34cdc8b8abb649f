"""Feeds and outputs of a call as JSON, as Spark ML and MLflow store them with a model."""
