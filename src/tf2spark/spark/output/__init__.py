"""Where results go: files and tables that are replaced whole or not at all."""
