"""The plan of a `recommend` job in the words of the model's author: as text, HTML and JSON."""
