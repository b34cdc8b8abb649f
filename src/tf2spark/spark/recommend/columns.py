"""The columns that a call of `recommend` reads and keeps: whether Spark can send them, and how.

The driver reads some rows of both tables itself, and its workers get users through Python alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    DataType,
    MapType,
    StructField,
    StructType,
    UserDefinedType,
)

from tf2spark.binding.feeds import columns_of
from tf2spark.errors import Advice, ContractError, Mistakes, argument
from tf2spark.graph_split.forms import SideName
from tf2spark.recommend.arguments import RecommendArguments
from tf2spark.recommend.sides import SidedInput, columns_fed
from tf2spark.shown_text import shown
from tf2spark.spark.score import column, select_numbered
from tf2spark.spark.types import (
    can_be_read,
    can_reach_python,
    has_required_fields,
    nullable_type,
)


def check_columns(
    schemas: dict[SideName, StructType],
    inputs: Sequence[SidedInput],
    arguments: RecommendArguments,
) -> None:
    """Check that Spark can send the columns to Python that a call reads or keeps.

    Raises:
        ContractError: There are some that it can't; it lists them.
    """
    mistakes = Mistakes()
    for side, schema in schemas.items():
        fed = columns_fed(inputs, side, schema.names)
        for field in (field for field in schema.fields if field.name in fed):
            with mistakes.collected():
                _check_fed(field, side, inputs)
    kept = {arguments.user_id, *(arguments.options.keep or ())}
    for field in (field for field in schemas["user"].fields if field.name in kept):
        with mistakes.collected():
            _check_kept(field, is_id=field.name == arguments.user_id)
    mistakes.raise_all()


def _check_fed(field: StructField, side: SideName, inputs: Sequence[SidedInput]) -> None:
    if can_be_read(field.dataType):
        return
    fields = f"{side}:{field.name}."
    paths = [column.path for sided in inputs for column in columns_of(sided.fed.feed)]
    path = next((path for path in paths if path.startswith(fields)), None)
    if path is None:
        advice: str | Advice = "make a column of numbers or strings of it, and feed that"
    else:
        path = path.removeprefix(f"{side}:")
        advice = Advice(
            f'make a column of the field, {side}s.withColumn("x", F.col("{path}")), and feed that',
            f"select {path} as x in --{side}s-sql, and feed x",
        )
    raise ContractError(f"{_unsendable(field, side)}, so it can't feed the model", advice)


def _check_kept(field: StructField, *, is_id: bool) -> None:
    if can_reach_python(StructType([field])):
        return
    problem = f"{_unsendable(field, 'user')} and back, through which the users' columns travel"
    cast = Advice(
        f'cast it, users.withColumn("{field.name}", F.col("{field.name}").cast("string"))',
        "cast it to string in --users-sql",
    )
    raise ContractError(
        problem, cast if is_id else cast + ", or leave it out of " + argument("keep")
    )


def _unsendable(field: StructField, side: SideName) -> str:
    kind = shown(field.dataType.simpleString())
    return f'column "{field.name}" of the {side}s is {kind}, which Spark can\'t send to Python'


def select_columns(df: DataFrame, names: Sequence[str]) -> DataFrame:
    """Select columns by their very names, though Spark may not tell them from others by their case.

    Of several columns of one name, it selects the first.
    """
    counts = Counter(name.lower() for name in df.columns)
    if all(counts[name.lower()] == 1 for name in names):
        return df.select(*map(column, names))
    return select_numbered(df, [df.columns.index(name) for name in names]).toDF(*names)


def with_nullable_fields(df: DataFrame) -> DataFrame:
    """Return a table as the driver can read it: whatever is null in it, pyarrow takes it.

    `DataFrame.toArrow` casts the rows to types in which fields of structs and of MLlib's vectors
    are never null, and so can't be the structs (seen on 4.3).
    """
    kinds = [field.dataType for field in df.schema.fields]
    if not any(map(has_required_fields, kinds)):
        return df
    numbered = df.toDF(*(f"c{index}" for index in range(len(kinds))))
    columns = [
        _nullable(F.col(number), kind).alias(number)
        for number, kind in zip(numbered.columns, kinds, strict=True)
    ]
    return numbered.select(*columns)


def _nullable(column: Column, kind: DataType) -> Column:
    if not has_required_fields(kind):
        return column
    return _plain(column, kind).cast(nullable_type(kind))


def _plain(column: Column, kind: DataType) -> Column:
    """Return a column without users' own types, which Spark doesn't cast."""
    if not _has_udt(kind):
        return column
    match kind:
        case UserDefinedType():
            return _plain(F.unwrap_udt(column), kind.sqlType())
        case ArrayType(elementType=element):
            return F.transform(column, lambda each: _plain(each, element))
        case MapType(valueType=values):
            return F.transform_values(column, lambda _, value: _plain(value, values))
        case StructType():
            fields = [
                _plain(column.getField(field.name), field.dataType).alias(field.name)
                for field in kind.fields
            ]
            return F.when(column.isNotNull(), F.struct(*fields))
    return column


def _has_udt(kind: DataType) -> bool:
    match kind:
        case UserDefinedType():
            return True
        case ArrayType(elementType=element):
            return _has_udt(element)
        case MapType(valueType=values):
            return _has_udt(values)
        case StructType():
            return any(_has_udt(field.dataType) for field in kind.fields)
    return False
