"""The model of a call of `recommend`: compiled, split, or bound to run whole."""
