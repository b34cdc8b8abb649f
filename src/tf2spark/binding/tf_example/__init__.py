"""Columns packed into serialized ``tf.Example`` messages: the feed, and the plan it becomes."""
