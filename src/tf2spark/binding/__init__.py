"""Columns to inputs, resolved on the driver: `request` knows the model, `bind` the table too."""
