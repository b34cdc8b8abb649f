"""TFRecord files: records in them, and columns in the ``tf.Example`` messages of records."""

FORMAT = "tfrecord"
"""The name of the format in Spark."""
