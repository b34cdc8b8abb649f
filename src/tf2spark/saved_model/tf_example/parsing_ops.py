"""The ops that parse Examples: where each names its features.

Source: ``tensorflow/core/ops/parsing_ops.cc``. Keys are constants (inputs or attributes), dtypes
and shapes are attributes. A dense feature whose default has no elements is required
(``example_proto_helper.h``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

from tf2spark.dtypes import DType, from_code
from tf2spark.saved_model.graph.upstream import is_control
from tf2spark.saved_model.protos import NodeMessage
from tf2spark.saved_model.signatures import shape
from tf2spark.saved_model.tf_example.features import FeatureKind, ParsedFeature

FindConstant = Callable[[str], Any]
"""Returns the TensorProto of an input, or None where it isn't a constant."""


class UnknownKeys(Exception):
    """The keys that an op parses aren't in the graph, or the op is malformed."""


def features_of(node: NodeMessage, constant: FindConstant) -> list[ParsedFeature]:
    """Return the features that a parsing op names.

    Args:
        node: The op, one of `PARSING_OPS`.
        constant: Finds the constants among its inputs.

    Raises:
        UnknownKeys: Its keys are computed, or it is malformed.
    """
    op = _Op(node, constant)
    try:
        return list(PARSING_OPS[node.op](op))
    except (IndexError, ValueError):
        raise UnknownKeys from None


class _Op:
    """A parsing op, its inputs in order and its attributes by name."""

    def __init__(self, node: NodeMessage, constant: FindConstant) -> None:
        self._attributes = node.attr
        self._constant = constant
        self._inputs = [str(name) for name in node.input if not is_control(name)]
        self._position = 1  # The first input is the serialized Examples.

    def skip(self, count: int = 1) -> None:
        self._position += count

    def next_inputs(self, count: int) -> list[str]:
        """Return the next inputs, `count` of them."""
        start, self._position = self._position, self._position + count
        inputs = self._inputs[start : self._position]
        if len(inputs) != count:
            raise UnknownKeys
        return inputs

    def next_keys(self, count: int | None = None) -> list[str]:
        """Return the keys in the next input, a vector, or in the next `count` inputs, scalars."""
        names = self.next_inputs(1 if count is None else count)
        return [key for name in names for key in self._strings(name)]

    def next_flags(self) -> list[bool]:
        """Return the bools in the next input."""
        message = self._constant(self.next_inputs(1)[0])
        if message is None:
            return []
        values = [bool(value) for value in message.bool_val]
        values = values or [byte != 0 for byte in message.tensor_content]
        return _repeated(values, message)

    def next_required(self, count: int) -> list[bool]:
        """Return, for each of the defaults that come next, whether it has no elements."""
        messages = [self._constant(name) for name in self.next_inputs(count)]
        return [
            message is not None and any(dim.size == 0 for dim in message.tensor_shape.dim)
            for message in messages
        ]

    def number(self, name: str) -> int:
        return int(self._attributes[name].i) if name in self._attributes else 0

    def keys(self, name: str) -> list[str]:
        return [_text(key) for key in self._list(name, "s")]

    def dtypes(self, name: str) -> list[DType]:
        return [from_code(code) for code in self._list(name, "type")]

    def shapes(self, name: str) -> list[Any]:
        return [shape(message) for message in self._list(name, "shape")]

    def _list(self, name: str, kind: str) -> Sequence[Any]:
        # An attribute that has its default, an empty list, may be left out.
        return getattr(self._attributes[name].list, kind) if name in self._attributes else ()

    def _strings(self, name: str) -> list[str]:
        message = self._constant(name)
        if message is None:
            raise UnknownKeys
        return _repeated([_text(value) for value in message.string_val], message)


def _text(key: bytes) -> str:
    return key.decode("utf-8")


def _repeated(values: list[Any], message: Any) -> list[Any]:
    """Return the values of a constant; the last one stands for all that are left out."""
    count = 1
    for dim in message.tensor_shape.dim:
        count *= dim.size
    if not values or not 0 <= count <= 1_000_000:
        return []
    return values[:count] + values[-1:] * (count - len(values))


def _any_length(
    keys: Sequence[str], types: Sequence[DType], kind: FeatureKind, *, is_list: bool = False
) -> Iterator[ParsedFeature]:
    for key, dtype in zip(keys, types, strict=True):
        yield ParsedFeature(key, dtype, kind, is_list=is_list)


def _dense(
    keys: Sequence[str],
    types: Sequence[DType],
    shapes: Sequence[Any],
    required: Iterable[bool],
    *,
    is_list: bool = False,
) -> Iterator[ParsedFeature]:
    for key, dtype, dims, needed in zip(keys, types, shapes, required, strict=True):
        any_length = bool(dims) and dims[0] is None
        yield ParsedFeature(
            key, dtype, "dense", dims or (), needed and not any_length, is_list=is_list
        )


def _parse_example(op: _Op) -> Iterator[ParsedFeature]:
    op.skip()
    sparse, dense = op.next_keys(op.number("Nsparse")), op.next_keys(op.number("Ndense"))
    required = op.next_required(len(dense))
    yield from _any_length(sparse, op.dtypes("sparse_types"), "sparse")
    yield from _dense(dense, op.dtypes("Tdense"), op.shapes("dense_shapes"), required)


def _parse_example_v2(op: _Op) -> Iterator[ParsedFeature]:
    op.skip()
    sparse, dense, ragged = op.next_keys(), op.next_keys(), op.next_keys()
    required = op.next_required(len(dense))
    yield from _any_length(sparse, op.dtypes("sparse_types"), "sparse")
    yield from _dense(dense, op.dtypes("Tdense"), op.shapes("dense_shapes"), required)
    yield from _any_length(ragged, op.dtypes("ragged_value_types"), "ragged")


def _parse_single_example(op: _Op) -> Iterator[ParsedFeature]:
    dense = op.keys("dense_keys")
    required = op.next_required(len(dense))
    yield from _any_length(op.keys("sparse_keys"), op.dtypes("sparse_types"), "sparse")
    yield from _dense(dense, op.dtypes("Tdense"), op.shapes("dense_shapes"), required)


def _parse_example_dataset(op: _Op) -> Iterator[ParsedFeature]:
    op.skip()
    yield from _parse_single_example(op)


def _parse_example_dataset_v2(op: _Op) -> Iterator[ParsedFeature]:
    yield from _parse_example_dataset(op)
    yield from _any_length(op.keys("ragged_keys"), op.dtypes("ragged_value_types"), "ragged")


def _lists(
    op: _Op, sparse: Sequence[str], dense: Sequence[str], may_miss: Sequence[bool]
) -> Iterator[ParsedFeature]:
    types, shapes = op.dtypes("feature_list_dense_types"), op.shapes("feature_list_dense_shapes")
    required = [not missing for missing in may_miss]
    yield from _any_length(sparse, op.dtypes("feature_list_sparse_types"), "sparse", is_list=True)
    yield from _dense(dense, types, shapes, required, is_list=True)


def _context(
    op: _Op, sparse: Sequence[str], dense: Sequence[str], required: Sequence[bool]
) -> Iterator[ParsedFeature]:
    types, shapes = op.dtypes("Tcontext_dense"), op.shapes("context_dense_shapes")
    yield from _any_length(sparse, op.dtypes("context_sparse_types"), "sparse")
    yield from _dense(dense, types, shapes, required)


def _parse_sequence_example(op: _Op) -> Iterator[ParsedFeature]:
    op.skip()
    dense, dense_lists = op.keys("context_dense_keys"), op.keys("feature_list_dense_keys")
    yield from _context(op, op.keys("context_sparse_keys"), dense, op.next_required(len(dense)))
    empty = set(op.keys("feature_list_dense_missing_assumed_empty"))
    may_miss = [key in empty for key in dense_lists]
    yield from _lists(op, op.keys("feature_list_sparse_keys"), dense_lists, may_miss)


def _parse_sequence_example_v2(op: _Op) -> Iterator[ParsedFeature]:
    op.skip()
    sparse, dense, ragged = op.next_keys(), op.next_keys(), op.next_keys()
    sparse_lists, dense_lists, ragged_lists = op.next_keys(), op.next_keys(), op.next_keys()
    may_miss = op.next_flags() or list(repeat(False, len(dense_lists)))
    yield from _context(op, sparse, dense, op.next_required(len(dense)))
    yield from _any_length(ragged, op.dtypes("context_ragged_value_types"), "ragged")
    yield from _lists(op, sparse_lists, dense_lists, may_miss)
    types = op.dtypes("feature_list_ragged_value_types")
    yield from _any_length(ragged_lists, types, "ragged", is_list=True)


def _parse_single_sequence_example(op: _Op) -> Iterator[ParsedFeature]:
    empty = set(op.next_keys())
    sparse = op.next_keys(op.number("Ncontext_sparse"))
    dense = op.next_keys(op.number("Ncontext_dense"))
    sparse_lists = op.next_keys(op.number("Nfeature_list_sparse"))
    dense_lists = op.next_keys(op.number("Nfeature_list_dense"))
    yield from _context(op, sparse, dense, op.next_required(len(dense)))
    yield from _lists(op, sparse_lists, dense_lists, [key in empty for key in dense_lists])


PARSING_OPS: dict[str, Callable[[_Op], Iterator[ParsedFeature]]] = {
    "ParseExample": _parse_example,
    "ParseExampleV2": _parse_example_v2,
    "ParseSingleExample": _parse_single_example,
    "ParseSequenceExample": _parse_sequence_example,
    "ParseSequenceExampleV2": _parse_sequence_example_v2,
    "ParseSingleSequenceExample": _parse_single_sequence_example,
    "ParseExampleDataset": _parse_example_dataset,
    "ParseExampleDatasetV2": _parse_example_dataset_v2,
    "ExperimentalParseExampleDataset": _parse_example_dataset,
}
"""By op, what yields its features."""
