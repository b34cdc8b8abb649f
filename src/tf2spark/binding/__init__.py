"""Columns to inputs, settled on the driver: `request` knows the model, `bind` the table too."""
