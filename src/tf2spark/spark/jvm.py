"""The JVM behind a classic Spark session: all that tf2spark uses of PySpark's private API.

PySpark's public interface reaches neither Hadoop's file systems nor a query's physical plan. What
is used here has the same names in PySpark 3.5 to 4.3, on which it is tested. Each function says
what it assumes and what happens in a release where that isn't so; a missing attribute raises a
`SetupError` that names it, from `_private_attribute`, unless the function can do without.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyspark
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession

from tf2spark.errors import SetupError
from tf2spark.spark.types import arrow_schema

if TYPE_CHECKING:
    from pyspark import Broadcast, SparkConf

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
    return _private_attribute(spark, "_jvm")


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
    return _private_attribute(spark, "_jsparkSession").sessionState()


def is_instance(spark: SparkSession, value: Any, class_name: str) -> bool:
    """Say whether a Java object is of a class or a trait.

    Assumes that py4j's own jar has `py4j.reflection.TypeUtil`.
    """
    return bool(jvm(spark).py4j.reflection.TypeUtil.isInstanceOf(class_name, value))


def depends_on_time(spark: SparkSession, plan: Any) -> bool:
    """Say whether a logical plan has the current time or date, which each query gets anew.

    Assumes Spark's `TreePattern.CURRENT_LIKE`, by which its optimizer finds them.
    """
    pattern = getattr(jvm(spark).org.apache.spark.sql.catalyst.trees, "TreePattern$")
    return bool(plan.containsPattern(getattr(pattern, "MODULE$").CURRENT_LIKE()))


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
    array = _private_attribute(spark.sparkContext, "_gateway").new_array(java_class, len(values))
    for index, value in enumerate(values):
        array[index] = value
    return array


def query_execution(df: DataFrame) -> Any:
    """Return Spark's `QueryExecution` of a DataFrame, which has its logical and physical plans.

    Assumes `DataFrame._jdf`. Plans are no interface: their classes may differ in any release, so
    callers treat an error from them as "unknown".

    Raises:
        SetupError: The DataFrame has no JVM that can be reached this way.
    """
    return _private_attribute(df, "_jdf").queryExecution()


def input_file_count(df: DataFrame) -> int:
    """Return how many files a DataFrame's query reads, without bringing their names to Python.

    Assumes `DataFrame._jdf`.

    Raises:
        SetupError: The DataFrame has no JVM that can be reached this way.
    """
    return len(_private_attribute(df, "_jdf").inputFiles())


def status_store(spark: SparkSession) -> Any | None:
    """Return where Spark keeps the metrics of its queries for the web page.

    Assumes `SparkSession._jsparkSession`, and Spark's `SharedState.statusStore`. None where this
    PySpark lacks one of them.
    """
    try:
        return _private_attribute(spark, "_jsparkSession").sharedState().statusStore()
    except (SetupError, Py4JError):
        return None


def is_stopped(spark: SparkSession) -> bool:
    """Say whether the context of a classic session was stopped.

    Assumes that `SparkContext._jsc` is then None. False where this PySpark has no such attribute.
    """
    return getattr(spark.sparkContext, "_jsc", True) is None


def executor_count(spark: SparkSession) -> int | None:
    """Return how many executors are registered, which PySpark has no public way to tell.

    Assumes `SparkContext._jsc`, and Spark's `SparkContext.getExecutorMemoryStatus`, which counts
    the driver as well. None where this PySpark lacks one of them.
    """
    try:
        status = _private_attribute(spark.sparkContext, "_jsc").sc().getExecutorMemoryStatus()
        return int(status.size()) - 1
    except (SetupError, Py4JError):
        return None


def dataframe_of(df: DataFrame, plan: Any) -> DataFrame:
    """Return the DataFrame of a logical plan, in the session of another.

    Assumes `SparkSession._jsparkSession`, Spark's `Dataset.ofRows`, and that PySpark's classes take
    a Dataset and a session.
    """
    spark = df.sparkSession
    sql = jvm(spark).org.apache.spark.sql
    datasets = sql.Dataset if pyspark.__version__.startswith("3.") else sql.classic.Dataset
    dataset = datasets.ofRows(_private_attribute(spark, "_jsparkSession"), plan)
    return type(df)(dataset, spark)


def application_store(spark: SparkSession) -> Any:
    """Return Spark's `AppStatusStore`, which has the stages, tasks and executors for the web page.

    Assumes `SparkContext._jsc`, and Spark's `SparkContext.statusStore`.

    Raises:
        SetupError: The context has no JVM that can be reached this way.
        JavaError: This Spark has no such store.
    """
    return _private_attribute(spark.sparkContext, "_jsc").sc().statusStore()


def wait_for_listeners(spark: SparkSession, seconds: float) -> None:
    """Wait until Spark has told its listeners what has happened, but not longer than this.

    What `application_store` has comes from such a listener. Assumes `SparkContext._jsc`, and
    Spark's `LiveListenerBus.waitUntilEmpty`; without them, nothing is waited for.
    """
    with suppress(SetupError, JavaError):  # a timeout is one of Java's errors
        bus = _private_attribute(spark.sparkContext, "_jsc").sc().listenerBus()
        bus.waitUntilEmpty(int(seconds * 1000))


def java_doubles(spark: SparkSession, *values: float) -> Any:
    """Return numbers as Java's ``double[]``; errors are those of `java_array`."""
    return java_array(spark, jvm(spark).double, values)


def scala_items(sequence: Any) -> Iterator[Any]:
    """Iterate over a Scala sequence, which py4j doesn't take for a collection."""
    return (sequence.apply(index) for index in range(sequence.size()))


def collect_arrow(df: DataFrame) -> pa.Table:
    """Return the rows of a DataFrame as an Arrow table.

    PySpark has `DataFrame.toArrow` from 4.0 on. PySpark 3.5 has the same as the private
    `_collect_as_arrow`, whose batches are numbered instead of named.

    Raises:
        SetupError: This PySpark has neither.
    """
    table = df.toArrow() if hasattr(df, "toArrow") else _collect_batches(df)
    return table.rename_columns(df.columns)


def _collect_batches(df: DataFrame) -> pa.Table:
    batches = _private_attribute(df, "_collect_as_arrow")()
    return pa.Table.from_batches(batches) if batches else arrow_schema(df.schema).empty_table()


def first_rows(df: DataFrame, rows: int) -> DataFrame:
    """Return a DataFrame's first rows, which the driver has then, as a DataFrame of their own.

    Spark looks at one partition first, and at more where there are too few rows in it. For
    ``df.limit(rows)`` as an Arrow table, it would compute them all (seen on 4.3).

    Assumes `DataFrame._jdf`, `SparkSession._jsparkSession`, and Spark's `Dataset.takeAsList`.

    Raises:
        SetupError: The session has no JVM that can be reached this way, or takes no such rows back.
        JavaError: The job failed.
    """
    dataset, spark = _private_attribute(df, "_jdf").toDF(), df.sparkSession
    session, taken = _private_attribute(spark, "_jsparkSession"), dataset.takeAsList(rows)
    try:
        return type(df)(session.createDataFrame(taken, dataset.schema()), spark)
    except JOB_ERRORS as error:
        raise SetupError(f"Spark doesn't take rows back: {error}") from None


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


def catalyst_expression(spark: SparkSession, column: Column) -> Any:
    """Return the Catalyst expression of a column; it isn't resolved yet.

    Assumes `Column._jc`, and Spark's `ExpressionUtils.expression` (from 4.0 on) or `Column.expr`.

    Raises:
        SetupError: The column has no JVM that can be reached this way.
    """
    java_column = _private_attribute(column, "_jc")
    utils = _expression_utils(spark)
    return java_column.expr() if utils is None else utils.expression(java_column)


def catalyst_column(spark: SparkSession, expression: Any) -> Column:
    """Return a column of a Catalyst expression.

    Assumes Spark's `ExpressionUtils.column` and PySpark's `pyspark.sql.classic.column.Column`
    (from 4.0 on), or the constructors of both `Column` classes.
    """
    utils = _expression_utils(spark)
    if utils is None:
        return Column(jvm(spark).org.apache.spark.sql.Column(expression))
    from pyspark.sql.classic.column import Column as ClassicColumn

    return ClassicColumn(utils.column(expression))


def _expression_utils(spark: SparkSession) -> Any | None:
    """Return Spark's `ExpressionUtils`, None where the release has none."""
    if pyspark.__version__.startswith("3."):
        return None
    return jvm(spark).org.apache.spark.sql.classic.ExpressionUtils


def broadcast_id(variable: Broadcast[Any]) -> int:
    """Return the number of a broadcast variable.

    Assumes `Broadcast._jbroadcast`.

    Raises:
        SetupError: The variable has none.
    """
    return int(_private_attribute(variable, "_jbroadcast").id())


def block_manager(spark: SparkSession) -> Any:
    """Return the driver's `BlockManager`, which holds broadcast variables.

    Assumes `SparkContext._jsc`, and Spark's `SparkEnv.blockManager`. It is read as a field: py4j
    looks at all methods of a class, and one of this class's needs Protobuf, which Spark 4.3 lacks.

    Raises:
        SetupError: The context has no JVM that can be reached this way.
        JavaError: This Spark has no such field.
    """
    environment = _private_attribute(spark.sparkContext, "_jsc").sc().env()
    manager = java_class(spark, "org.apache.spark.SparkEnv").getDeclaredField("blockManager")
    manager.setAccessible(True)
    return manager.get(environment)


@contextmanager
def driver_without_blocks(spark: SparkSession, broadcast_ids: Sequence[int]) -> Iterator[None]:
    """Have executors fetch broadcast variables from each other alone while the block runs.

    Spark's list of who has which block omits the driver meanwhile; the driver keeps the blocks.
    Assumes Spark's `BlockManager.getStatus`, and `BlockManagerMaster.updateBlockInfo`.

    Raises:
        JavaError: This Spark has no such methods; the driver is then listed as before.
    """
    manager = block_manager(spark)
    blocks = list(_pieces(spark, manager, broadcast_ids))
    nowhere = jvm(spark).org.apache.spark.storage.StorageLevel.NONE()
    try:
        for block, _ in blocks:
            _tell_block(spark, manager, block, nowhere, 0, 0)
        yield
    finally:
        for block, status in blocks:
            sizes = status.memSize(), status.diskSize()
            _tell_block(spark, manager, block, status.storageLevel(), *sizes)


def _pieces(
    spark: SparkSession, manager: Any, broadcast_ids: Sequence[int]
) -> Iterator[tuple[Any, Any]]:
    """Yield the blocks of broadcast variables on the driver, each with where it is kept."""
    block_id = jvm(spark).org.apache.spark.storage.BlockId
    for number in broadcast_ids:
        for piece in itertools.count():
            block = block_id.apply(f"broadcast_{number}_piece{piece}")
            status = manager.getStatus(block)
            if status.isEmpty():
                break
            yield block, status.get()


def _tell_block(
    spark: SparkSession, manager: Any, block: Any, level: Any, memory: int, disk: int
) -> None:
    arguments = [manager.blockManagerId(), block, level, memory, disk]
    try:
        manager.master().updateBlockInfo(*arguments)
    except Py4JError as error:
        if "does not exist" not in str(error):
            raise
        # Newer releases take a checksum as well.
        manager.master().updateBlockInfo(*arguments, jvm(spark).scala.Option.empty())


def launch_driver(conf: SparkConf, stderr: int) -> bool:
    """Launch the driver's JVM, as a `SparkContext` would, with its own stderr.

    Assumes ``pyspark.java_gateway.launch_gateway(conf, popen_kwargs)``, `SparkContext._gateway`
    (None before there is a JVM) and ``SparkContext._ensure_initialized(gateway=...)``, after which
    the next `SparkContext` uses this JVM.

    Args:
        conf: The settings that the JVM starts with.
        stderr: The file descriptor that it writes to.

    Returns:
        False, with nothing launched, where one of these is missing or a JVM runs already. The
        next `SparkContext` then launches its own, whose log goes to this process's stderr.
    """
    try:
        from pyspark import SparkContext
        from pyspark.java_gateway import launch_gateway
    except ImportError:
        return False
    initialize = getattr(SparkContext, "_ensure_initialized", None)
    takes_stderr = "popen_kwargs" in inspect.signature(launch_gateway).parameters
    if initialize is None or not takes_stderr or getattr(SparkContext, "_gateway", True):
        return False
    gateway = launch_gateway(conf, popen_kwargs={"stderr": stderr})  # type: ignore[no-untyped-call]
    initialize(gateway=gateway)
    return True


def _private_attribute(owner: Any, name: str) -> Any:
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
