"""Arrow columns to tensors and back; what a column needs is chosen once, outside the hot loop."""
