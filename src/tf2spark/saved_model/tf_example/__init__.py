"""Which features a graph parses from the serialized ``tf.Example`` that it is fed."""
