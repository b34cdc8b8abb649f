"""What Spark knows of a job once it has run."""
