"""The driver's side of Spark: DataFrames, SQL functions, sessions, shipping and storage."""
