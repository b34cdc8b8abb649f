"""One module per command of `tf2spark`."""
