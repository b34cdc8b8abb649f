"""Where models and tables are: on this machine, or reached through Spark or MLflow."""
