"""The graph of a SavedModel: which nodes run, which functions they call, and what nodes have."""
