"""The loops that run on executors: Arrow batches in, Arrow batches out."""
