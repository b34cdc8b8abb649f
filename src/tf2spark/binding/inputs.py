"""How the columns that feed one input become its tensors."""

from __future__ import annotations

import pyarrow as pa

from tf2spark.binding.columns import resolve, type_of
from tf2spark.binding.constants import check_pad, example, plan_constant
from tf2spark.binding.feeds import Assembled, Column, Constant, Feed, Joined, Padded, columns_of
from tf2spark.binding.messages import input_text, type_text
from tf2spark.binding.row_shapes import (
    Dims,
    Fed,
    check_padded,
    check_side_by_side,
    check_single,
    own_dims,
)
from tf2spark.binding.type_rules import cast_text, fits, spark_name
from tf2spark.dtypes import DType
from tf2spark.errors import ContractError
from tf2spark.plan.score import Form, InputPlan, Source
from tf2spark.saved_model.contract import TensorSpec


def plan_input(spec: TensorSpec, feed: Feed, schema: pa.Schema) -> InputPlan:
    """Settle how `feed` becomes the tensors of one input.

    Raises:
        ContractError: Column and input don't fit; the message says what to write instead.
    """
    if isinstance(feed, Constant):
        return plan_constant(spec, feed)
    text = input_text(spec)
    if spec.shape == ():
        raise ContractError(
            f"{text} is one value for the whole batch and takes a constant, not column "
            f'"{feed}": feed={{"{spec.name}": {example(spec)}}}'
        )
    fed = tuple(_fed(resolve(column, schema, text), schema) for column in columns_of(feed))
    inside = feed.column if isinstance(feed, Padded) else feed
    if isinstance(inside, Assembled) and inside.part == "indices":
        _refuse_ids(spec, inside)
    else:
        for one in fed:
            _refuse_type(spec, one)
    if nothing := [one.source for one in fed if pa.types.is_null(one.kind)]:
        # A column of nothing but nulls has no shape either: each of its rows is refused.
        return InputPlan(spec.name, spec.tensors, "dense", spec.dtype, (), tuple(nothing[:1]))
    if isinstance(inside, Assembled):
        _refuse_unassemblable(text, fed, inside)
    if spec.kind == "dense":
        return _dense(spec, inside, fed, feed if isinstance(feed, Padded) else None)
    if isinstance(feed, Padded):
        raise ContractError(f'{text} takes rows of any length: feed={{"{spec.name}": "{inside}"}}')
    return _sparse(spec, inside, fed) if spec.kind == "sparse" else _ragged(spec, inside, fed[0])


def _fed(source: Source, schema: pa.Schema) -> Fed:
    path = (schema.field(source.column).name, *source.fields)
    return Fed(source, type_of(source, schema), path)


def _refuse_type(spec: TensorSpec, fed: Fed) -> None:
    problem = _type_problem(spec, fed)
    if problem is not None:
        raise ContractError(
            f'{input_text(spec)} can\'t take column "{fed.source.label}" ({type_text(fed.kind)}): '
            + problem
        )


def _type_problem(spec: TensorSpec, fed: Fed) -> str | None:
    source, leaf = fed.source, fed.source.leaf
    if spark_name(spec.dtype) is None:
        return f"nothing can feed {spec.dtype} tensors"
    if source.layout == "map" and not pa.types.is_integer(fed.kind.key_type):
        # The worker reads the keys as ids even where only the values are fed.
        return (
            f"its keys are {type_text(fed.kind.key_type)} and ids are integers; "
            f"F.map_keys({fed.expression()}) and F.map_values({fed.expression()}) are lists"
        )
    if pa.types.is_struct(leaf):
        return _field_to_name(fed)
    if pa.types.is_nested(leaf):
        return f"its values are {type_text(leaf)}, which no tensor holds"
    if fits(leaf, spec.dtype):
        return None
    if source.layout == "image":
        return f'an image is numbers; its bytes are "{source.label}.data"'
    if source.part in ("indices", "size"):
        what = "indices are integers" if source.part == "indices" else "size is an integer"
        return f"its {what} and the input takes {spec.dtype}"
    cast = _cast(spec, fed)
    return f"its values are {type_text(leaf)} and the input takes {spec.dtype}" + (
        f"; cast them first: {cast}" if cast else ""
    )


def _field_to_name(fed: Fed) -> str:
    source = fed.source
    names = [field.name for field in source.leaf]
    if not names:
        return "a struct without fields holds nothing"
    if source.depth:
        select = fed.expression(names[0])
        return f'select one of its fields first: df.withColumn("{names[0]}", {select})'
    shown = " or ".join(f'"{source.label}.{name}"' for name in names[:4])
    return f"name one of its fields: {shown}" + (" or ..." if len(names) > 4 else "")


def _cast(spec: TensorSpec, fed: Fed) -> str | None:
    """Return the PySpark that makes a column of the right values, and the feed for it."""
    made = _converted(fed, spec.dtype)
    if made is None:
        return None
    name = "_".join(fed.path)
    call = f'df.withColumn("{name}", {made})'
    return call if len(fed.path) == 1 else f'{call}, feed={{"{spec.name}": "{name}"}}'


def _converted(fed: Fed, dtype: DType) -> str | None:
    column, to = fed.expression(), spark_name(dtype)
    match fed.source.layout:
        case "vector":
            return f'vector_to_array({column}).cast("array<{to}>")'
        case "map":
            return f'F.transform_values({column}, lambda _, value: value.cast("{to}"))'
        case "pairs":
            values = f'{fed.expression("values")}.cast("array<{to}>")'
            return f'{column}.withField("values", {values})'
        case _:
            return cast_text(column, fed.source.leaf, fed.source.depth, dtype)


def _refuse_ids(spec: TensorSpec, feed: Assembled) -> None:
    if not fits(pa.int64(), spec.dtype):
        raise ContractError(
            f"{input_text(spec)} can't take {feed}: its indices are integers and the input takes "
            f"{spec.dtype}"
        )


def _refuse_unassemblable(text: str, fed: tuple[Fed, ...], feed: Assembled) -> None:
    for one in fed:
        source = one.source
        number = source.layout == "list" and source.depth == 0 and _is_number(source.leaf)
        if source.part or not (number or source.layout == "vector"):
            raise ContractError(
                f'{text}: {feed} takes vectors and numbers, "{source.label}" is {one}'
            )


def _is_number(leaf: pa.DataType) -> bool:
    return bool(pa.types.is_integer(leaf) or pa.types.is_floating(leaf) or pa.types.is_null(leaf))


def _sparse(spec: TensorSpec, feed: Feed, fed: tuple[Fed, ...]) -> InputPlan:
    text = input_text(spec)
    if isinstance(feed, Joined):
        raise ContractError(
            f"{text} takes one column: "
            f"assembled({', '.join(f'{one.path!r}' for one in feed.columns)}) joins vectors"
        )
    if isinstance(feed, Assembled) and feed.part:
        raise ContractError(f"{text} takes the whole vector: leave .{feed.part} out of {feed}")
    if spec.shape is not None and len(spec.shape) != 2:
        raise ContractError(f"{text}: only sparse inputs of rank 2, [batch, size], can be fed")
    for one in fed:
        lone_number = isinstance(feed, Column) and one.depth == 0
        if one.source.part or one.depth > 1 or lone_number:
            raise ContractError(
                f"{text} takes a vector, a map, a struct of indices and values or a list; "
                f'"{one.source.label}" is {one}'
            )
    dims = (None,) if spec.shape is None else spec.shape[1:]
    return InputPlan(
        spec.name,
        spec.tensors,
        "sparse",
        spec.dtype,
        dims,
        tuple(one.source for one in fed),
        isinstance(feed, Assembled),
    )


def _ragged(spec: TensorSpec, feed: Feed, fed: Fed) -> InputPlan:
    text, levels = input_text(spec), len(spec.tensors) - 1
    depth = fed.depth if fed.source.layout == "list" else 0
    want = None if spec.shape is None else len(spec.shape) - 1
    if not isinstance(feed, Column) or depth < levels or want not in (None, depth):
        deep = want or levels
        got = f'"{feed}" is {fed}' if isinstance(feed, Column) else f"not {feed}"
        raise ContractError(
            f"{text} takes one column of type {'array<' * deep}{spark_name(spec.dtype)}"
            f"{'>' * deep}, {got}"
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


def _dense(spec: TensorSpec, feed: Feed, fed: tuple[Fed, ...], padding: Padded | None) -> InputPlan:
    text, part = input_text(spec), feed.part if isinstance(feed, Assembled) else None
    single = isinstance(feed, Column)
    dims: Dims = own_dims(fed, single=single) if spec.shape is None else spec.shape[1:]
    form: Form = "dense"
    if padding or {part, *(one.source.part for one in fed)} & {"indices", "values"}:
        form = "padded"
        check_padded(text, feed, fed, dims)
        if padding:
            check_pad(spec, padding.value)
    elif single:
        check_single(text, fed[0], dims)
    else:
        check_side_by_side(text, feed, fed, dims)
    return InputPlan(
        spec.name,
        spec.tensors,
        form,
        spec.dtype,
        dims,
        tuple(one.source for one in fed),
        isinstance(feed, Assembled),
        part,
        padding.value if padding else None,
    )
