"""`recommend` on the driver: from a call to a plan."""
