"""The items of a call of `recommend`: ids and values, in the order in which workers read them."""
