"""What to write instead: feeds, casts and tables, as code of the user's own kind."""
