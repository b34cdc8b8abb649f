"""Arrays and vectors that cross from the JVM as the blocks of bytes that Spark holds."""
