"""Which column becomes which feature, checked against what the graph parses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pyarrow as pa

from tf2spark.binding.advice.casts import cast_advice
from tf2spark.binding.advice.feeds import feed_advice
from tf2spark.binding.columns import has_column, resolve
from tf2spark.binding.feeds import Column, Feed
from tf2spark.binding.messages import did_you_mean, input_text, listed, row_text, type_text
from tf2spark.binding.row_shapes import FedColumn, fed_column, new_name
from tf2spark.binding.tf_example.feed import Example
from tf2spark.binding.type_rules import fits, is_text
from tf2spark.dtypes import FLOAT32, INT64, STRING, DType
from tf2spark.errors import Advice, ContractError, Mistakes
from tf2spark.plan.score import Feature, InputPlan
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.saved_model.tf_example.features import ParsedExample, ParsedFeature

_NO_FEATURES = ParsedExample((), complete=False)


def with_keys(spec: TensorSpec, feed: Feed) -> Feed:
    """Return a feed in which each column of an Example has the key of its feature.

    Raises:
        ContractError: The input takes no Examples, the graph parses no such feature, or a feature
            that it needs is missing.
    """
    if not isinstance(feed, Example):
        return feed
    text, parsed = input_text(spec), spec.example or _NO_FEATURES
    if spec.dtype is not STRING or spec.kind != "dense":
        raise ContractError(
            f"{text} doesn't take tf.Example messages, which are strings",
            "write " + feed_advice({spec.name: Column("COLUMN")}),
        )
    if feed.every_key:
        if not parsed.features:
            raise ContractError(
                f"{text}: the graph doesn't say which features it parses, so example() needs the "
                "names of columns",
                "write " + feed_advice({spec.name: Example(((None, "COLUMN"),))}),
            )
        return Example(tuple((key, key) for key in parsed.keys), every_key=True)
    mistakes = Mistakes()
    columns = [(_key_of(key, path, parsed), path) for key, path in feed.columns]
    for key, _ in columns:
        with mistakes.collected():
            _check_key(text, key, parsed)
    # A misspelled key would be reported twice, as a missing feature too.
    mistakes.raise_all()
    _check_required(spec, Example(tuple(columns)), [key for key, _ in columns], parsed)
    return Example(tuple(columns))


def _key_of(key: str | None, path: str, parsed: ParsedExample) -> str:
    """Return the key of a column: its name, or that of the field that its path ends with."""
    if key is not None:
        return key
    # In `recommend`, a column that both tables have is written "user:age".
    own = path.removeprefix("user:").removeprefix("item:")
    names = (path, own, own.rpartition(".")[2])
    return next((name for name in names if name in parsed.keys), own)


def _check_key(text: str, key: str, parsed: ParsedExample) -> None:
    if parsed.complete and key not in parsed.keys:
        raise ContractError(
            f'{text}: the graph parses no feature "{key}"',
            did_you_mean(key, parsed.keys, label="feature"),
        )


def _check_required(
    spec: TensorSpec, feed: Example, keys: Sequence[str], parsed: ParsedExample
) -> None:
    missing = [each.key for each in parsed.features if each.required and each.key not in keys]
    if missing:
        more = Example((*feed.columns, *((key, key) for key in missing)))
        raise ContractError(
            f"{input_text(spec)}: the graph needs {_features_text(missing)} as well, which "
            f"{'has' if len(missing) == 1 else 'have'} no default",
            "write " + feed_advice({spec.name: more}),
        )


def _features_text(keys: Sequence[str]) -> str:
    return f"the feature{'s' if len(keys) > 1 else ''} {listed(keys)}"


def present_columns(
    spec: TensorSpec, feed: Example, names: Iterable[str]
) -> tuple[tuple[str, str], ...]:
    """Return the keys and columns of a feed that a table has; `with_keys` has given it its keys.

    Raises:
        ContractError: ``example()`` finds no column for a feature without a default, or none at
            all.
    """
    columns = [(key, path) for key, path in feed.columns if key is not None]
    if not feed.every_key:
        return tuple(columns)
    known = list(names)
    parsed = spec.example or _NO_FEATURES
    present = [(key, path) for key, path in columns if has_column(known, path)]
    missing = [
        each.key for each in parsed.features if each.required and not has_column(known, each.key)
    ]
    if missing or not present:
        needs = missing or [key for key, _ in columns]
        problem = f"the table has no column for {_features_text(needs)}"
        if missing:
            problem += f", which {'has' if len(missing) == 1 else 'have'} no default"
        renamed = [(key, "COLUMN") for key in needs[:3]]
        raise ContractError(
            f"{input_text(spec)}: {problem}; its columns are {listed(known)}",
            "name the columns: " + feed_advice({spec.name: Example((*present, *renamed))}),
        )
    return tuple(present)


def plan_example(
    spec: TensorSpec, feed: Example, schema: pa.Schema, *, single: bool = False
) -> InputPlan:
    """Decide how columns become the Examples of an input; arguments are those of `plan_input`.

    Raises:
        ContractError: Columns and features don't fit.
    """
    text = input_text(spec)
    dims = (spec.shape or (None,))[1:]
    if any(size not in (1, None) for size in dims) or (spec.shape == () and not single):
        takes = row_text(dims) if dims else "one value for the whole batch"
        raise ContractError(f"{text} takes {takes}, and example() makes one string per row")
    mistakes, sources, features = Mistakes(), [], []
    for key, path in present_columns(spec, feed, schema.names):
        with mistakes.collected():
            column = fed_column(resolve(Column(path), schema, text), schema)
            known = spec.example.feature(key) if spec.example else None
            parsed = known or ParsedFeature(key, _inferred(column), "sparse")
            _check_feature(spec, parsed, column, feed)
            features.append(_feature(parsed, known=known is not None))
            sources.append(column.source)
    mistakes.raise_all()
    return InputPlan(
        spec.name,
        spec.tensors,
        "example",
        STRING,
        dims,
        tuple(sources),
        batched=spec.shape != (),
        features=tuple(features),
    )


def _feature(parsed: ParsedFeature, *, known: bool) -> Feature:
    return Feature(
        parsed.key,
        parsed.dtype,
        parsed.dims if parsed.kind == "dense" else None,
        parsed.required,
        skip_nulls=known and parsed.kind == "sparse" and not parsed.is_list,
        is_list=parsed.is_list,
    )


def _inferred(column: FedColumn) -> DType:
    """Return the type of a feature that the graph doesn't name."""
    leaf = column.source.leaf
    if pa.types.is_floating(leaf):
        return FLOAT32
    return INT64 if pa.types.is_integer(leaf) or pa.types.is_boolean(leaf) else STRING


def _check_feature(
    spec: TensorSpec, parsed: ParsedFeature, column: FedColumn, feed: Example
) -> None:
    source, leaf = column.source, column.source.leaf
    text = f'feature "{parsed.key}" of {input_text(spec)}'
    refused = f'{text} can\'t take column "{source.label}" ({type_text(column.kind)})'
    is_vector = source.layout == "vector" or (source.layout != "list" and source.part is not None)
    if pa.types.is_nested(leaf) or not (source.layout == "list" or is_vector):
        raise ContractError(
            f"{refused}: a feature takes single values and lists",
            f'name a field: "{source.label}.FIELD"' if pa.types.is_struct(leaf) else None,
        )
    if is_vector and parsed.dtype is STRING:
        raise ContractError(f"{refused}: it takes {_values_text(parsed.dtype)}")
    is_bool = pa.types.is_boolean(leaf) and parsed.dtype is INT64
    if not (fits(leaf, parsed.dtype) or is_bool):
        raise ContractError(
            f"{refused}: its values are {type_text(leaf)} and the feature takes "
            f"{_values_text(parsed.dtype)}",
            _cast_advice(spec, parsed, column, feed),
        )
    if not pa.types.is_null(leaf):
        _check_depth(text, parsed, column)


def _values_text(dtype: DType) -> str:
    return "strings" if dtype is STRING else str(dtype)


def _cast_advice(
    spec: TensorSpec, parsed: ParsedFeature, column: FedColumn, feed: Example
) -> Advice | None:
    dtype, leaf = parsed.dtype, column.source.leaf
    if spec.example is None or spec.example.feature(parsed.key) is None:
        # The type was inferred, and this column has none that a feature holds.
        dtype = FLOAT32 if pa.types.is_decimal(leaf) else INT64 if not is_text(leaf) else STRING
    name = new_name(column)
    renamed = [(key, name if key == parsed.key else path) for key, path in feed.columns]
    return cast_advice(column, spec.name, dtype, Example(tuple(renamed)))


def _check_depth(text: str, parsed: ParsedFeature, column: FedColumn) -> None:
    label, depth = column.source.label, column.depth
    size = math.prod(dim for dim in parsed.dims if dim is not None)
    free = parsed.kind != "dense" or None in parsed.dims
    inner = depth - 1 if parsed.is_list else depth
    # A flat list of a step or a row is reshaped.
    allowed = {1, len(parsed.dims)} if parsed.dims or free else {0}
    if size == 1:
        allowed.add(0)
    if inner in allowed and _sizes_fit(parsed, column, inner, size, free=free):
        return
    if parsed.is_list:
        each = "" if size == 1 and not free else f", each {_row_text(parsed, free=free)}"
        takes = f"a list of steps{each}"
    else:
        takes = _row_text(parsed, free=free)
    raise ContractError(
        f'{text} takes {takes}, but column "{label}" is {column}',
        _flatten_advice(column) if inner > max(allowed) else None,
    )


def _row_text(parsed: ParsedFeature, *, free: bool) -> str:
    if parsed.kind != "dense" or (free and len(parsed.dims) == 1):
        return "a value or a list of values"
    return row_text(parsed.dims)


def _sizes_fit(
    parsed: ParsedFeature, column: FedColumn, inner: int, size: int, *, free: bool
) -> bool:
    """Return whether lists of a fixed size have the size of the feature."""
    sizes = column.dims[-inner:] if inner else ()
    if free:
        return True
    expected = parsed.dims if inner == len(parsed.dims) else (size,)
    return all(got in (None, want) for got, want in zip(sizes, expected, strict=False))


def _flatten_advice(column: FedColumn) -> str:
    return "flatten it first" if column.depth > 1 else "name a column of single values"
