"""`%load_ext tf2spark`: Spark jobs in a notebook, with their progress and with short errors."""
