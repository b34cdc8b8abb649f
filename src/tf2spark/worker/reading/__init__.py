"""Tables that workers read themselves: file systems, Parquet, filters."""
