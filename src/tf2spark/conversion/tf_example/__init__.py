"""Columns packed into serialized ``tf.Example`` messages."""
