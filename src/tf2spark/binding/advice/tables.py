"""What to write instead of something that isn't a table: a path, an array, an RDD, a session.

Kinds are told apart by the names of their classes, so that nothing is imported that the caller
hasn't imported already.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from functools import partial
from io import IOBase
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from tf2spark.binding.advice.expressions import quoted
from tf2spark.errors import ContractError, Mistakes
from tf2spark.table_types import is_a, is_arrow, is_pandas, is_spark, type_name

_LOCAL_TABLES = "a pandas DataFrame, a pyarrow Table or a RecordBatch"
_READERS = {
    ".parquet": ("spark.read.parquet({})", "pandas.read_parquet({})"),
    ".csv": ("spark.read.csv({}, header=True, inferSchema=True)", "pandas.read_csv({})"),
    ".json": ("spark.read.json({})", "pandas.read_json({}, lines=True)"),
    ".orc": ("spark.read.orc({})", "pandas.read_orc({})"),
}
# By the package and the name of a class, or of one that it inherits from. A prefix of the module
# is enough, as modules move between releases.
_BY_CLASS: tuple[tuple[str, str, str], ...] = (
    ("pyspark.pandas", "DataFrame", "write df.to_spark()"),
    ("pyspark.pandas", "Series", "write series.to_frame().to_spark()"),
    ("pyspark.pandas", "Index", "write index.to_frame().to_spark()"),
    ("pyspark.pandas", "GroupBy", "aggregate first, or write df.to_spark()"),
    ("pyspark", "RDD", "write spark.createDataFrame(rdd)"),
    ("pyspark.sql", "SparkSession", 'write spark.table("NAME") or spark.read.parquet("PATH")'),
    ("pyspark.sql", "DataFrameReader", 'load the table: spark.read.parquet("PATH")'),
    (
        "pyspark.sql",
        "DataStreamReader",
        'load the stream: spark.readStream.schema(SCHEMA).parquet("PATH")',
    ),
    ("pyspark.sql", "DataFrameWriter", "score the DataFrame, then write the result"),
    ("pyspark.sql", "DataStreamWriter", "score the DataFrame, then write the result"),
    ("pyspark.sql", "DataFrameWriterV2", "score the DataFrame, then write the result"),
    ("pyspark.sql", "MergeIntoWriter", "score the DataFrame, then write the result"),
    ("pyspark.sql", "DataFrameNaFunctions", "write what it returns: df.na.fill(0), df.na.drop()"),
    ("pyspark.sql", "DataFrameStatFunctions", "score df itself"),
    ("pyspark.sql", "Catalog", 'write spark.table("NAME")'),
    ("pyspark.sql", "StructType", "write spark.createDataFrame(rows, schema)"),
    ("pyspark.sql", "StreamingQuery", "score the streaming DataFrame, then start the query"),
    ("pyspark.sql", "GroupedData", "aggregate first, df.groupBy(...).agg(...), or score df itself"),
    ("pyspark.sql", "Column", "write df.select(column); model.udf() is a function of columns"),
    ("pyspark.sql", "DataFrame", "write df.limit(1000).toPandas()"),
    ("pyspark.sql", "Row", "write spark.createDataFrame([row])"),
    ("pandas", "Series", "write series.to_frame(), or series.to_frame().T for one row of a table"),
    ("pandas", "BaseWindow", "aggregate first, or score the DataFrame itself"),
    ("pandas", "GroupBy", "aggregate first, or score the DataFrame itself"),
    ("pandas", "Index", "write index.to_frame()"),
    ("pyarrow", "StructArray", "write pyarrow.Table.from_struct_array(array)"),
    ("pyarrow", "ChunkedArray", 'write pyarrow.table({"COLUMN": array})'),
    ("pyarrow", "Array", 'write pyarrow.table({"COLUMN": array})'),
    ("pyarrow", "RecordBatchReader", "write reader.read_all()"),
    ("pyarrow", "Dataset", "write dataset.to_table()"),
    ("pyarrow", "Scanner", "write scanner.to_table()"),
    ("pyarrow", "ParquetFile", "write file.read()"),
    ("polars", "LazyFrame", "write df.collect().to_arrow()"),
    ("polars", "DataFrame", "write df.to_arrow()"),
    ("polars", "Series", "write series.to_frame().to_arrow()"),
    ("dask", "DataFrame", "write df.compute()"),
    ("dask", "FrameBase", "write df.compute()"),
    (
        "ray.data",
        "Dataset",
        'write ds.to_pandas(), or ds.map_batches(model.score, batch_format="pandas")',
    ),
    ("datasets", "Dataset", "write dataset.to_pandas()"),
    ("tensorflow", "RaggedTensor", 'write pandas.DataFrame({"COLUMN": tensor.to_list()})'),
    (
        "tensorflow",
        "SparseTensor",
        'write pandas.DataFrame({"COLUMN": list(tf.sparse.to_dense(tensor).numpy())})',
    ),
    ("tf2spark", "SavedModel", "write model.score(table): the model comes before the dot"),
    ("tensorflow", "DatasetV2", "write pandas.DataFrame(dataset.unbatch().as_numpy_iterator())"),
    ("tensorflow", "Tensor", 'write pandas.DataFrame({"COLUMN": list(tensor.numpy())})'),
    ("torch", "Tensor", 'write pandas.DataFrame({"COLUMN": list(tensor.numpy())})'),
)


def check_table(table: Any, taken_by: str = "score() takes", *, local: bool = False) -> None:
    """Check that something is a table.

    Args:
        table: What the call gave.
        taken_by: How the message begins.
        local: Spark's tables don't count.

    Raises:
        ContractError: It isn't; the advice is the code that makes a table of it, if there is some.
    """
    if is_pandas(table) or is_arrow(table) or (is_spark(table) and not local):
        return
    kind = "None" if table is None else type_name(table)
    tables = _LOCAL_TABLES if local else f"a Spark DataFrame, {_LOCAL_TABLES}"
    raise ContractError(f"{taken_by} {tables}, not {kind}", table_advice(table))


def check_has_tasks(table: object, resources: object) -> None:
    """Check that a table is scored by Spark's tasks, if resources are given for them.

    Raises:
        ContractError: It is scored in this process.
    """
    if resources is not None and not is_spark(table):
        raise ContractError(
            f"resources are for the tasks of a Spark DataFrame, and {type_name(table)} is scored "
            "in this process",
            "leave resources out",
        )


def check_recommend_tables(users: Any, items: Any, resources: object = None) -> None:
    """Check that users and items are tables, whose tasks take resources if some are given.

    Raises:
        ContractError: They aren't; see `check_table` and `check_has_tasks`.
    """
    mistakes = Mistakes()
    for name, table in (("users", users), ("items", items)):
        with mistakes.collected():
            check_table(table, f"recommend() takes the {name} as")
    mistakes.raise_all()
    check_has_tasks(users, resources)


def table_advice(value: Any) -> str | None:
    """Return how to make a table of a value, None where nothing is known."""
    if isinstance(value, type):
        return "pass an object of that class"
    if isinstance(value, str | os.PathLike):
        return f"write {_reading(os.fspath(value))}"
    if value is None:
        return "df.show(), df.write.save() and pandas methods with inplace=True return None"
    if isinstance(value, Mapping):
        return _of_mapping(value)
    if isinstance(value, FunctionType | MethodType | BuiltinFunctionType | partial):
        return _of_function(value)
    for package, name, advice in _BY_CLASS:
        if is_a(value, package, name):
            return advice
    if is_a(value, "numpy", "ndarray"):
        return _of_array(value)
    if isinstance(value, list | tuple | range | Set | deque):
        return _of_rows(list(value))
    if isinstance(value, IOBase):
        return f"write {_reading(getattr(value, 'name', 'PATH'))}"
    if isinstance(value, Iterator):
        return "write pandas.DataFrame(rows), or pyarrow.Table.from_batches(batches)"
    # Objects that have their columns as attributes may raise anything for others.
    with suppress(Exception):
        if hasattr(value, "__arrow_c_stream__"):
            return "write pyarrow.table(df)"
        if callable(getattr(value, "to_pandas", None)):
            return "write df.to_pandas()"
    return None


def _of_function(function: Any) -> str:
    name = getattr(function, "__name__", "<lambda>")
    if name == "<lambda>":
        return "pass what the function returns"
    owner = "df." if isinstance(function, MethodType) else ""
    return f"call the function: {owner}{name}()"


def _reading(path: Any) -> str:
    """Return the code that reads a path, or the table of a name without slashes and endings."""
    text = path.decode(errors="replace") if isinstance(path, bytes) else str(path)
    if re.match(r"\s*(SELECT|WITH|FROM|VALUES|TABLE)\s", text, re.IGNORECASE):
        return f"spark.sql({quoted(text)})"
    base, ending = os.path.splitext(text.lower().removesuffix(".gz"))
    if ending not in _READERS and "/" not in base and "\\" not in base:
        return f'spark.table("{text}")' if text else 'spark.table("NAME")'
    on_spark, in_pandas = _READERS.get(ending, _READERS[".parquet"])
    readers = [on_spark] if "://" in text else [on_spark, in_pandas]
    return " or ".join(reader.format(f'"{text}"') for reader in readers)


def _of_mapping(data: Mapping[Any, Any]) -> str:
    columns = (list, tuple, range)
    if any(isinstance(value, columns) or hasattr(value, "__array__") for value in data.values()):
        return "write pandas.DataFrame({name: list(values) for name, values in data.items()})"
    return "write pandas.DataFrame([row]) for one row"


def _of_array(array: Any) -> str:
    if array.dtype.names:
        return "write pandas.DataFrame(array)"
    one_column = 'pandas.DataFrame({"COLUMN": list(array)})'
    if array.ndim != 2:
        return f"write {one_column}"
    return (
        f'write {one_column} for a column of lists, or pandas.DataFrame(array, columns=["a", ...]) '
        "for a column per value"
    )


def _of_rows(rows: list[Any]) -> str | None:
    first = next(iter(rows), None)
    if is_a(first, "pyarrow", "RecordBatch"):
        return "write pyarrow.Table.from_batches(batches)"
    if is_a(first, "pyspark.sql", "Row"):
        return "write spark.createDataFrame(rows)"
    if is_spark(first) or is_pandas(first) or is_arrow(first):
        return "score one table at a time, or concatenate them"
    if isinstance(first, Mapping):
        return "write pandas.DataFrame(rows)"
    if isinstance(first, list | tuple):
        return (
            'write pandas.DataFrame(rows, columns=["a", ...]), '
            'or pandas.DataFrame({"COLUMN": rows}) for a column of lists'
        )
    return 'write pandas.DataFrame({"COLUMN": values})'
