"""A call against the model's graph: raw tensors, checked runs, variables that a run writes."""
