"""Examples packed from columns, compared with what TensorFlow parses from its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf2spark.binding.feeds import Feed, example
from tf2spark.binding.tf_example.plan import plan_example, with_keys
from tf2spark.conversion.from_arrow import feeder
from tf2spark.conversion.rows import RowsRefused
from tf2spark.dtypes import FLOAT32, INT64, STRING
from tf2spark.errors import ContractError
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.saved_model.tf_example.features import ParsedExample, ParsedFeature
from tf2spark.tensorflow_c.strings import strings_of

_TYPES = {"i": INT64, "f": FLOAT32, "s": STRING}
_VALUES = {
    "i": st.integers(-(2**63), 2**63 - 1),
    "f": st.floats(width=32, allow_nan=False),
    "s": st.binary(max_size=300),
}
_ARROW = {"i": pa.int64(), "f": pa.float32(), "s": pa.binary()}


def _spec(*features: ParsedFeature, complete: bool = True) -> TensorSpec:
    parsed = ParsedExample(features, complete) if features else None
    return TensorSpec("x", STRING, (None,), ("x:0",), example=parsed)


def _packed(table: Any, spec: TensorSpec, feed: Feed) -> list[bytes]:
    plan = plan_example(spec, with_keys(spec, feed), table.schema)  # type: ignore[arg-type]
    feed_batch = feeder(plan, None)
    fed = [feed_batch(batch)[0] for batch in table.to_batches()]
    return [text for tensor in fed for text in strings_of(tensor.data)]


def _feature(kind: str, values: list[Any]) -> Any:
    if kind == "i":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    if kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


@st.composite
def _columns(draw: st.DrawFn) -> dict[str, list[Any]]:
    rows = draw(st.integers(1, 6))
    columns = {}
    for kind, values in _VALUES.items():
        for name, cell in ((kind, values), (f"{kind}s", st.lists(values, max_size=3))):
            cells = st.lists(st.none() | cell, min_size=rows, max_size=rows)
            columns[name] = draw(cells)
    return columns


@settings(max_examples=60, deadline=None)
@given(_columns(), st.booleans())
def test_features_are_those_of_tensorflows_own_messages(
    columns: dict[str, list[Any]], sliced: bool
) -> None:
    """Each row has the same features, whatever their values, as an Example made by TensorFlow."""
    rows = len(columns["i"])
    arrays = {
        name: pa.array(cells, _ARROW[name[0]] if len(name) == 1 else pa.list_(_ARROW[name[0]]))
        for name, cells in columns.items()
    }
    table = pa.table(arrays)
    first = 1 if sliced and rows > 1 else 0
    table = pa.concat_tables([table.slice(first, 1), table.slice(first + 1)])
    features = [ParsedFeature(name, _TYPES[name[0]], "sparse") for name in sorted(columns)]
    got = _packed(table, _spec(*features), example())
    assert len(got) == rows - first
    for row, text in enumerate(got, first):
        expected = tf.train.Example()
        for name, cells in columns.items():
            if (cell := cells[row]) is not None:
                cell = cell if isinstance(cell, list) else [cell]
                expected.features.feature[name].CopyFrom(_feature(name[0], cell))
        assert tf.train.Example.FromString(text).features == expected.features


@settings(max_examples=30, deadline=None)
@given(st.lists(st.none() | st.lists(st.lists(_VALUES["s"], max_size=3), max_size=3), min_size=1))
def test_feature_lists_are_those_of_a_sequence_example(rows: list[Any]) -> None:
    """A list of lists is a list of steps, each of them a feature."""
    table = pa.table({"s": pa.array(rows, pa.list_(pa.list_(pa.binary())))})
    parsed = ParsedFeature("s", STRING, "ragged", is_list=True)
    for text, steps in zip(_packed(table, _spec(parsed), example("s")), rows, strict=True):
        expected = tf.train.SequenceExample(context=tf.train.Features())
        if steps is not None:
            expected.feature_lists.feature_list["s"].CopyFrom(
                tf.train.FeatureList(feature=[_feature("s", step) for step in steps])
            )
        expected.feature_lists.SetInParent()
        assert tf.train.SequenceExample.FromString(text) == expected


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (pa.array([1, 2], pa.int8()), [1]),
        (pa.array([2**63 - 1], pa.uint64()), [2**63 - 1]),
        (pa.array([True, False]), [1]),
        (pa.array([1.5], pa.float16()), [1.5]),
        (pa.array([0.1], pa.float64()), [np.float32(0.1)]),
        (pa.array(["é"], pa.large_string()), ["é".encode()]),
        (pa.array(["a", "b"]).dictionary_encode(), [b"a"]),
        (pa.array([[1, 2]], pa.list_(pa.int32(), 2)), [1, 2]),
        (pa.array([[]], pa.list_(pa.string())), []),
        (pa.array([b"ab"], pa.binary(2)), [b"ab"]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_types_that_the_graph_does_not_name_are_inferred(array: Any, values: list[Any]) -> None:
    """Integers and bools become int64 lists, floats float lists, text and bytes bytes lists."""
    text = _packed(pa.table({"a": array}), _spec(), example("a"))[0]
    feature = tf.train.Example.FromString(text).features.feature["a"]
    kind = feature.WhichOneof("kind")
    assert list(getattr(feature, kind).value) == values


@pytest.mark.parametrize(
    ("array", "dims", "reason"),
    [
        (pa.array([1.0, None]), (), 'column "a" is null or NaN, but feature "a" of input "x" has'),
        (pa.array([1.0, np.nan]), (), 'column "a" is null or NaN'),
        (pa.array([[1, 2], [1]]), (2,), 'has 1 value, but feature "a" of input "x" takes 2'),
        (pa.array([[1, 2], [1, None]]), (2,), 'column "a" contains a null'),
        (pa.array([[[1], [2]], [[1, 2], []]]), (2, 1), "takes [2, 1]"),
        (pa.array([[1, 2], [1]]), (None, 2), "takes a multiple of 2"),
    ],
)
def test_rows_that_do_not_fit_a_dense_feature_are_refused(
    array: Any, dims: Any, reason: str
) -> None:
    """The second row is refused, with the reason in the words of columns and features."""
    feature = ParsedFeature("a", FLOAT32, "dense", dims, required=None not in dims)
    with pytest.raises(RowsRefused) as caught:
        _packed(pa.table({"a": array}), _spec(feature), example("a"))
    assert caught.value.rows.tolist() == [1]
    assert reason in caught.value.reasons[0]


def test_nulls_among_sparse_values_are_left_out() -> None:
    """As with any sparse input, a null among a row's values is no value."""
    table = pa.table({"a": pa.array([["x", None, "y"], [None]])})
    first, second = _packed(table, _spec(ParsedFeature("a", STRING, "sparse")), example("a"))
    feature = tf.train.Example.FromString(first).features.feature["a"]
    assert list(feature.bytes_list.value) == [b"x", b"y"]
    assert not tf.train.Example.FromString(second).features.feature["a"].bytes_list.value


_AGE = ParsedFeature("age", FLOAT32, "dense", (), required=True)
_IDS = ParsedFeature("ids", INT64, "dense", (2,))


@pytest.mark.parametrize(
    ("columns", "feed", "words"),
    [
        ({"age": ["a"]}, example("age"), ["age", "string", "float32", "cast"]),
        ({"age": [[[1.0]]]}, example("age"), ['feature "age"', "one value per row"]),
        ({"age": [1.0], "ids": [1.5]}, example(), ["ids", "double", "int64"]),
        ({"age": [1.0], "ids": [1]}, example(), ["ids", "2 values per row"]),
        ({"city": [1.0]}, example(), ['no column for the feature "age"', "no default"]),
        ({"ids": [[1, 2]]}, example("ids"), ['needs the feature "age"', 'example("ids", "age")']),
        ({"agee": [1.0]}, example("agee"), ['no feature "agee"', 'did you mean "age"?']),
        ({"years": [1.0]}, example(age="year"), ['no column "year"', '"years"']),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns: Any, feed: Feed, words: list[str]) -> None:
    """One message names the feature, the column and what to write."""
    with pytest.raises(ContractError) as caught:
        _packed(pa.table(columns), _spec(_AGE, _IDS), feed)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("spec", "feed", "message"),
    [
        (TensorSpec("x", FLOAT32, (None,), ("x:0",)), example("a"),
         'input "x" (float32 [None]) doesn\'t take tf.Example messages, which are strings; write '
         'feed={"x": "COLUMN"}'),
        (_spec(), example(),
         'input "x" (string [None]): the graph doesn\'t say which features it parses, so example() '
         'needs the names of columns; write feed={"x": tf2spark.example("COLUMN")}'),
        (_spec(_AGE, _IDS), example("nope"),
         'input "x" (string [None]): the graph parses no feature "nope"; the features are "age", '
         '"ids"'),
        (_spec(_AGE), example(age="s"),
         'feature "age" of input "x" (string [None]) can\'t take column "s" (struct<f: float>): a '
         'feature takes single values and lists; name a field: "s.FIELD"'),
        (_spec(_AGE), example(age="s.g"),
         'input "x" (string [None]): "s.g" has no field "g"; the fields are "f"'),
    ],
)  # fmt: skip
def test_inputs_and_columns_that_take_no_examples(
    spec: TensorSpec, feed: Feed, message: str
) -> None:
    """Each mistake is one message, with what to write instead."""
    column = pa.array([{"f": 1.0}], pa.struct([("f", pa.float32())]))
    with pytest.raises(ContractError) as caught:
        _packed(pa.table({"a": [1.0], "s": column}), spec, feed)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1,), "takes the names of columns, not 1"),
        ((["a", "b"],), r"takes the names of columns, not \['a', 'b'\]"),
        (({},), r"example\(\{\}\) names no column"),
        (("a", {"a": "b"}), 'gives the feature "a" twice'),
    ],
)
def test_arguments_that_name_no_columns(arguments: Any, message: str) -> None:
    """`example` refuses them before any model is read."""
    with pytest.raises(ContractError, match=message):
        example(*arguments)


def test_decimals_and_dates_are_refused_with_a_cast() -> None:
    """No list of a feature holds them."""
    for kind in (pa.decimal128(5, 2), pa.date32()):
        with pytest.raises(ContractError, match="cast them first"):
            _packed(pa.table({"a": pa.array([None], kind)}), _spec(), example("a"))
