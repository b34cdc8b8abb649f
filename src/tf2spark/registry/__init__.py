"""Models that MLflow keeps: its URIs, what its registry says of them, and their files."""
