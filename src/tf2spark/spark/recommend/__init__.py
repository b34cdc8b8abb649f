"""`recommend` on Spark DataFrames: items eagerly, users lazily."""
