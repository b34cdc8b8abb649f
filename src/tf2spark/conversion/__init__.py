"""Arrow columns to tensors and back: handlers are chosen once a column, the loop is bare."""
