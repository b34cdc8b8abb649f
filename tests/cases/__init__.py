"""What tests of several kinds share: models, tables, graphs and how they are compared."""
