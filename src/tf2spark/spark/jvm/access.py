"""The way into the JVM: its classes, Hadoop's settings, and values of Java and Scala."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyspark
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from tf2spark.errors import SetupError

try:
    from py4j.protocol import Py4JError
except ImportError:  # the package pyspark-client, which has Spark Connect alone

    class Py4JError(Exception):  # type: ignore[no-redef]
        """Never raised where there is no py4j."""


JavaError = Py4JError
"""What py4j raises for an exception in the JVM."""
JOB_ERRORS = (PySparkException, Py4JError)
"""What an action of PySpark raises for a failed job: most exceptions are converted, some aren't."""


def jvm(spark: SparkSession) -> Any:
    """Return py4j's view of the JVM, through which Java's classes are reached by name.

    Assumes `SparkSession._jvm`.

    Raises:
        SetupError: The session has none: it is one of Spark Connect, or of another PySpark.
    """
    return private_attribute(spark, "_jvm")


def hadoop_path(spark: SparkSession, *parts: Any) -> Any:
    """Return Hadoop's Path of a URI, or of a parent and the name of its child."""
    return jvm(spark).org.apache.hadoop.fs.Path(*parts)


def hadoop_configuration(spark: SparkSession) -> Any:
    """Return Hadoop's configuration with the settings of the session, including those of ``SET``.

    Assumes `SparkSession._jsparkSession`, and Spark's `SessionState.newHadoopConf`.

    Raises:
        SetupError: The session has no JVM that can be reached this way.
    """
    return session_state(spark).newHadoopConf()


def session_state(spark: SparkSession) -> Any:
    """Return Spark's `SessionState`, which has the session's catalog and its parser.

    Assumes `SparkSession._jsparkSession`, and Spark's `SparkSession.sessionState`.

    Raises:
        SetupError: The session has no JVM that can be reached this way.
    """
    return private_attribute(spark, "_jsparkSession").sessionState()


def is_instance(spark: SparkSession, value: Any, class_name: str) -> bool:
    """Say whether a Java object is of a class or a trait.

    Assumes that py4j's own jar has `py4j.reflection.TypeUtil`.
    """
    return bool(jvm(spark).py4j.reflection.TypeUtil.isInstanceOf(class_name, value))


def hadoop_user(spark: SparkSession) -> str:
    """Return the user by whose permissions Hadoop's file systems are read.

    Raises:
        SetupError: The session has no JVM that can be reached this way.
    """
    information = jvm(spark).org.apache.hadoop.security.UserGroupInformation
    return str(information.getCurrentUser().getShortUserName())


def java_array(spark: SparkSession, java_class: Any, values: Sequence[Any]) -> Any:
    """Return a Java array, for methods that take any number of arguments.

    Assumes `SparkContext._gateway`.

    Raises:
        SetupError: The context has none.
    """
    array = private_attribute(spark.sparkContext, "_gateway").new_array(java_class, len(values))
    for index, value in enumerate(values):
        array[index] = value
    return array


def java_doubles(spark: SparkSession, *values: float) -> Any:
    """Return numbers as Java's ``double[]``; errors are those of `java_array`."""
    return java_array(spark, jvm(spark).double, values)


def scala_items(sequence: Any) -> Iterator[Any]:
    """Iterate over a Scala sequence, which py4j doesn't take for a collection."""
    return (sequence.apply(index) for index in range(sequence.size()))


def java_class(spark: SparkSession, name: str) -> Any:
    """Return a class of Spark or Java, as a value of the JVM.

    Assumes `SparkSession._jvm`.

    Raises:
        SetupError: The session has no JVM that can be reached this way.
        JavaError: There is no such class.
    """
    return jvm(spark).java.lang.Class.forName(name)


def scala_seq(spark: SparkSession, values: Sequence[Any]) -> Any:
    """Return Java's objects as a Scala sequence.

    Assumes Spark's `PythonUtils.toSeq`, which PySpark's own column functions use.
    """
    return jvm(spark).org.apache.spark.api.python.PythonUtils.toSeq(list(values))


def private_attribute(owner: Any, name: str) -> Any:
    """Return a private attribute of one of PySpark's objects.

    Raises:
        SetupError: It isn't there, or None.
    """
    # Connect's classes raise an AttributeError of their own, with advice that doesn't apply here.
    value = getattr(owner, name, None)
    if value is None:
        kind = f"{type(owner).__module__}.{type(owner).__qualname__}"
        raise SetupError(
            f"PySpark {pyspark.__version__} has no {name} in {kind}, through which tf2spark "
            "reaches Spark's JVM: use a classic session (no Spark Connect) of PySpark 3.5 to 4.3"
        )
    return value
