"""How the columns that feed one input become its tensors."""

from __future__ import annotations

import pyarrow as pa
from attrs import evolve

from tf2spark.binding.advice.casts import cast_advice, image_advice, split_advice
from tf2spark.binding.advice.expressions import (
    arrow_column,
    pandas_column,
    pyspark_column,
    quoted,
    sql_column,
)
from tf2spark.binding.advice.feeds import feed_advice
from tf2spark.binding.columns import resolve
from tf2spark.binding.constants import check_pad, example, plan_constant
from tf2spark.binding.feeds import Assembled, Column, Constant, Feed, Joined, Padded, columns_of
from tf2spark.binding.messages import input_text, is_variant, row_text, type_text
from tf2spark.binding.row_shapes import (
    FedColumn,
    check_concatenated,
    check_padded,
    check_single,
    fed_column,
    new_name,
    own_dims,
    reshape_advice,
    set_column,
)
from tf2spark.binding.tf_example.feed import Example
from tf2spark.binding.tf_example.plan import plan_example
from tf2spark.binding.type_rules import fits, spark_name
from tf2spark.dtypes import Dims, DType
from tf2spark.errors import Advice, ContractError, Mistakes, argument
from tf2spark.plan.score import Form, InputPlan
from tf2spark.saved_model.contract import TensorSpec


def plan_input(
    spec: TensorSpec, feed: Feed, schema: pa.Schema, *, single: bool = False
) -> InputPlan:
    """Decide how `feed` becomes the tensors of one input.

    Args:
        spec: The input.
        feed: What feeds it.
        schema: The table's columns.
        single: Every run has one row, so that a row can be the whole tensor of an input without a
            batch dimension.

    Raises:
        ContractError: Column and input don't fit; the message says what to write instead.
    """
    if isinstance(feed, Constant):
        return plan_constant(spec, feed)
    if isinstance(feed, Example):
        return plan_example(spec, feed, schema, single=single)
    text = input_text(spec)
    if spec.shape == () and not single:
        raise ContractError(
            f'{text} is one value for the whole batch and takes a constant, not column "{feed}"',
            "write "
            + feed_advice({spec.name: example(spec)})
            + ", or "
            + argument("batch_rows", 1)
            + " to run the model row by row",
        )
    inner = feed.column if isinstance(feed, Padded) else feed
    is_row = isinstance(feed, Column) and not single
    columns = _fed_columns(spec, inner, schema, is_row=is_row)
    all_null = [column.source for column in columns if pa.types.is_null(column.kind)]
    if all_null and (spec.kind == "dense" or not isinstance(feed, Column)):
        # A column with only nulls has no shape either: each of its rows is refused.
        return InputPlan(spec.name, spec.tensors, "dense", spec.dtype, (), tuple(all_null[:1]))
    if isinstance(inner, Assembled):
        _refuse_unassemblable(text, columns, inner)
    if spec.kind == "dense":
        padding = feed if isinstance(feed, Padded) else None
        if single and spec.shape is not None and len(_row_dims(inner, columns)) == len(spec.shape):
            whole = _dense(spec, spec.shape, inner, columns, padding)
            return evolve(whole, batched=False)
        dims = _row_dims(inner, columns) if spec.shape is None else spec.shape[1:]
        return _dense(spec, dims, inner, columns, padding)
    if isinstance(feed, Padded):
        raise ContractError(
            f"{text} takes rows of any length", "write " + feed_advice({spec.name: inner})
        )
    if spec.kind == "sparse":
        return _sparse(spec, inner, columns)
    return _ragged(spec, inner, columns[0])


def _fed_columns(
    spec: TensorSpec, feed: Column | Joined | Assembled, schema: pa.Schema, *, is_row: bool
) -> tuple[FedColumn, ...]:
    """Find the columns of a feed and check their types; `is_row` if one has a whole row."""
    mistakes, columns = Mistakes(), []
    is_indices = isinstance(feed, Assembled) and feed.part == "indices"
    for column in columns_of(feed):
        with mistakes.collected():
            columns.append(fed := fed_column(resolve(column, schema, input_text(spec)), schema))
            if not is_indices:
                _refuse_type(spec, fed, is_row=is_row)
    if isinstance(feed, Assembled) and is_indices:
        with mistakes.collected():
            _refuse_ids(spec, feed)
    mistakes.raise_all()
    return tuple(columns)


def _refuse_type(spec: TensorSpec, fed: FedColumn, *, is_row: bool) -> None:
    mismatch = _type_mismatch(spec, fed, is_row=is_row)
    if mismatch is not None:
        problem, advice = mismatch
        label, kind = fed.source.label, type_text(fed.kind)
        raise ContractError(
            f'{input_text(spec)} can\'t take column "{label}" ({kind}): {problem}', advice
        )


def _type_mismatch(
    spec: TensorSpec, fed: FedColumn, *, is_row: bool
) -> tuple[str, str | Advice | None] | None:
    """Return why the types don't fit, and what to do about it; None if they fit."""
    source, leaf = fed.source, fed.source.leaf
    if spark_name(spec.dtype) is None:
        return f"nothing can feed {spec.dtype} tensors", None
    if source.layout == "map" and not pa.types.is_integer(fed.kind.key_type):
        # The worker reads the keys as ids even if only the values are fed.
        return f"its keys are {type_text(fed.kind.key_type)}, and ids are integers", _map_lists(fed)
    if is_variant(leaf):
        return _variant_mismatch(fed, spec.dtype)
    if pa.types.is_struct(leaf):
        return _struct_mismatch(fed)
    if pa.types.is_nested(leaf):
        return f"its values are {type_text(leaf)}, and no tensor holds those", _plain_arrow(fed)
    if fits(leaf, spec.dtype):
        return None
    if source.layout == "image":
        return "an image consists of numbers", f'its bytes are "{source.label}.data"'
    if source.part in ("indices", "size"):
        part = "indices are integers" if source.part == "indices" else "size is an integer"
        return f"its {part} and the input takes {spec.dtype}", None
    if spec.example is not None:
        problem = f"its values are {type_text(leaf)} and the input takes tf.Example messages"
        return problem, "pack columns into them: " + feed_advice({spec.name: Example((), True)})
    problem = f"its values are {type_text(leaf)} and the input takes {spec.dtype}"
    dims = (spec.shape or ())[1:]
    if is_row and spec.kind == "dense" and fed.depth == 0 and not {1, None}.issuperset(dims):
        return f"{problem}, {row_text(dims)}", _values_advice(spec, fed, dims)
    return problem, cast_advice(fed, spec.name, spec.dtype)


def _values_advice(spec: TensorSpec, fed: FedColumn, dims: Dims) -> str | Advice | None:
    """Say what to feed instead of a column of single values, where a row has several."""
    if image := image_advice(fed, dims):
        return image
    columns, split = reshape_advice(fed, dims), split_advice(fed, spec.name, spec.dtype)
    return columns + "; " + split if columns and split else columns or split


def _map_lists(fed: FedColumn) -> Advice:
    """Say how to turn a map into lists of its keys and values."""
    python, sql = pyspark_column(fed.path), sql_column(fed.path)
    lists = "make lists of its keys and of its values"
    return Advice(
        f"F.map_keys({python}) and F.map_values({python}) are lists",
        f"map_keys({sql}) and map_values({sql}) are lists",
        lists,
        lists,
    )


def _plain_arrow(fed: FedColumn) -> Advice | None:
    """Say how an encoding of pyarrow's own becomes a plain column; None for other types."""
    leaf, column = fed.source.leaf, arrow_column(fed.path)
    if "list_view" in str(leaf) and not fed.source.depth:
        plain = str(leaf).replace("large_list_view<", "large_list<").replace("list_view<", "list<")
        return Advice("", "", arrow=f"cast it to {plain} first: {column}.cast(pa.list_(...))")
    if "run_end_encoded" in str(leaf):
        return Advice("", "", arrow=f"decode it first: pc.run_end_decode({column})")
    return None


def _variant_mismatch(fed: FedColumn, dtype: DType) -> tuple[str, str | Advice | None]:
    if fed.source.depth:
        return "its values are variants, which have no type of their own", None
    kind = spark_name(dtype)
    python = f'F.variant_get({pyspark_column(fed.path)}, "$", "{kind}")'
    sql = f"variant_get({sql_column(fed.path)}, '$', '{kind}')"
    select = 'get its value first ("$", or "$.FIELD")'
    return "it is a variant", set_column(fed, select, python, sql, None, None, otherwise=select)


def _struct_mismatch(fed: FedColumn) -> tuple[str, str | Advice | None]:
    source = fed.source
    names = [field.name for field in source.leaf]
    if not names:
        return "it is a struct without fields", None
    if source.depth:
        path = (*fed.path, names[0])
        select = "select one of its fields first"
        field = set_column(
            fed,
            select,
            pyspark_column(path),
            sql_column(path),
            _field_of_dicts(fed, names[0]) if source.depth == 1 else None,
            None,
            otherwise=select,
        )
        feed = f', and feed "{new_name(fed)}"' if len(fed.path) > 1 else ""
        return "its values are structs", field + feed
    shown = " or ".join(f'"{source.label}.{name}"' for name in names[:4])
    more = " or ..." if len(names) > 4 else ""
    return "it is a struct", f"name one of its fields: {shown}{more}"


def _field_of_dicts(fed: FedColumn, name: str) -> str:
    """Return the pandas for the lists of one field's values, where cells are lists of dicts."""
    values = f"[each[{quoted(name)}] for each in row]"
    return f'{pandas_column(fed.path)}.map(lambda row: {values}, na_action="ignore")'


def _refuse_ids(spec: TensorSpec, feed: Assembled) -> None:
    if not fits(pa.int64(), spec.dtype):
        raise ContractError(
            f"{input_text(spec)} can't take {feed}: its indices are integers and the input takes "
            f"{spec.dtype}"
        )


def _refuse_unassemblable(text: str, fed: tuple[FedColumn, ...], feed: Assembled) -> None:
    for column in fed:
        source = column.source
        is_scalar = source.layout == "list" and source.depth == 0 and _is_number(source.leaf)
        if source.part or not (is_scalar or source.layout == "vector"):
            raise ContractError(
                f'{text}: {feed} takes vectors and numbers, but "{source.label}" is {column}'
            )


def _is_number(leaf: pa.DataType) -> bool:
    return bool(pa.types.is_integer(leaf) or pa.types.is_floating(leaf) or pa.types.is_null(leaf))


def _sparse(spec: TensorSpec, feed: Feed, fed: tuple[FedColumn, ...]) -> InputPlan:
    text = input_text(spec)
    if isinstance(feed, Joined):
        raise ContractError(
            f"{text} takes one column",
            "join vectors with " + feed_advice({spec.name: Assembled(feed.columns)}),
        )
    if isinstance(feed, Assembled) and feed.part:
        raise ContractError(
            f"{text} takes the whole vector, not {feed}",
            "write " + feed_advice({spec.name: Assembled(feed.columns)}),
        )
    if spec.shape is not None and len(spec.shape) != 2:
        raise ContractError(f"{text}: only sparse inputs of rank 2, [batch, size], can be fed")
    for column in fed:
        if column.source.part or column.depth > 1:
            raise ContractError(
                f"{text} takes a vector, a map, a struct of indices and values, a list or a single "
                f'value, but "{column.source.label}" is {column}'
            )
    dims = (None,) if spec.shape is None else spec.shape[1:]
    return InputPlan(
        spec.name,
        spec.tensors,
        "sparse",
        spec.dtype,
        dims,
        tuple(column.source for column in fed),
        isinstance(feed, Assembled),
    )


def _ragged(spec: TensorSpec, feed: Feed, fed: FedColumn) -> InputPlan:
    text, levels = input_text(spec), len(spec.tensors) - 1
    depth = fed.depth if fed.source.layout == "list" else 0
    expected = None if spec.shape is None else len(spec.shape) - 1
    if pa.types.is_null(fed.kind) and isinstance(feed, Column):
        depth = expected or levels
    if not isinstance(feed, Column) or depth < levels or expected not in (None, depth):
        nesting = expected or levels
        got = f'but "{feed}" is {fed}' if isinstance(feed, Column) else f"not {feed}"
        raise ContractError(
            f"{text} takes one column of type {type_text(_lists_of(spec.dtype, nesting))}, {got}"
        )
    return InputPlan(
        spec.name,
        spec.tensors,
        "ragged",
        spec.dtype,
        (None,) * depth if spec.shape is None else spec.shape[1:],
        (fed.source,),
        splits_dtype=spec.splits_dtype,
        ragged_levels=levels,
    )


def _lists_of(dtype: DType, depth: int) -> pa.DataType:
    """Return the type of a column that feeds rows of so many dimensions to a dtype."""
    kind = pa.float32() if dtype.name in ("bfloat16", "float16") else pa.type_for_alias(dtype.name)
    for _ in range(depth):
        kind = pa.list_(kind)
    return kind


def _row_dims(feed: Feed, fed: tuple[FedColumn, ...]) -> Dims:
    return own_dims(fed, single=isinstance(feed, Column))


def _dense(
    spec: TensorSpec,
    dims: Dims,
    feed: Feed,
    fed: tuple[FedColumn, ...],
    padding: Padded | None,
) -> InputPlan:
    text, part = input_text(spec), feed.part if isinstance(feed, Assembled) else None
    single = isinstance(feed, Column)
    form: Form = "dense"
    if padding or {part, *(column.source.part for column in fed)} & {"indices", "values"}:
        form = "padded"
        check_padded(text, feed, fed, dims)
        if padding:
            check_pad(spec, padding.value)
    elif single:
        check_single(text, fed[0], dims)
    else:
        check_concatenated(text, feed, fed, dims)
    return InputPlan(
        spec.name,
        spec.tensors,
        form,
        spec.dtype,
        dims,
        tuple(column.source for column in fed),
        isinstance(feed, Assembled),
        part,
        padding.value if padding else None,
    )
