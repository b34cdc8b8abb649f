"""The one place that imports pyspark: DataFrames, SQL functions and sessions around the runtime."""
