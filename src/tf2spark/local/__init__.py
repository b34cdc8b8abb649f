"""`score` and `recommend` on pandas and pyarrow tables, in this process."""
