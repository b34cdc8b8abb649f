"""The report of a job: one HTML page without scripts, and what is on it."""
