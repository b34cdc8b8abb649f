"""The JVM behind a classic Spark session: all that tf2spark uses of PySpark's private API.

PySpark's public interface reaches neither Hadoop's file systems nor a query's physical plan. What
is used here has the same names in PySpark 3.5 to 4.3, on which it is tested. Each function says
what it assumes and what happens in a release where that isn't so; a missing attribute raises a
`SetupError` that names it, from `private_attribute`, unless the function can do without.
"""
