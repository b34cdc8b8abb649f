"""Whether a graph may run: which ops are allowed, and what would end the process."""
