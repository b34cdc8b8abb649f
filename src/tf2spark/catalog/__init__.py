"""Every user against every item: a graph taken apart by sides, and the best k kept."""
