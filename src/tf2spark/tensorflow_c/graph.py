"""Look tensors up in a TensorFlow graph: by name, with dtype and shape."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from ctypes import byref, c_int64, c_size_t

from tf2spark.dtypes import STRING, DType, Shape, from_code
from tf2spark.errors import ModelError
from tf2spark.tensorflow_c import library
from tf2spark.tensorflow_c.library import TFOutput, status


def graph_tensor_info(
    graph_def: bytes, names: Iterable[str]
) -> dict[str, tuple[DType, Shape] | None]:
    """Return what is known of tensors of a graph, without making a session.

    TensorFlow's own shape inference runs over the whole graph.

    Args:
        graph_def: A serialised ``GraphDef``.
        names: Names of tensors: "node:0", or "node" for its output 0.

    Returns:
        Dtype and shape by name; None for a name that the graph doesn't have.

    Raises:
        ModelError: TensorFlow can't read the graph.
    """
    lib = library.library()
    graph: int = lib.TF_NewGraph()
    try:
        _import(graph, graph_def)
        found = {name: find(graph, name) for name in names}
        return {name: None if at is None else info(graph, at) for name, at in found.items()}
    finally:
        lib.TF_DeleteGraph(graph)


def _import(graph: int, graph_def: bytes) -> None:
    lib = library.library()
    options = lib.TF_NewImportGraphDefOptions()
    content = lib.TF_NewBufferFromString(graph_def, len(graph_def))
    try:
        lib.TF_ImportGraphDefOptionsSetPrefix(options, b"")
        with status() as state:
            lib.TF_GraphImportGraphDef(graph, content, options, state)
    except library.TensorFlowFailure as failure:
        raise ModelError(f"TensorFlow can't read the graph: {failure.message}") from failure
    finally:
        lib.TF_DeleteBuffer(content)
        lib.TF_DeleteImportGraphDefOptions(options)


def find(graph: int, name: str) -> TFOutput | None:
    """Return the output that "node:0" or "node" names, or None where the graph has none."""
    lib = library.library()
    node, colon, index = name.partition(":")
    operation: int | None = lib.TF_GraphOperationByName(graph, node.encode())
    place = int(index) if index.isdecimal() else -1 if colon else 0
    if operation is None or not 0 <= place < lib.TF_OperationNumOutputs(operation):
        return None
    return TFOutput(operation, place)


def output(graph: int, name: str) -> TFOutput:
    """Return the output that "node:0" or "node" names.

    Raises:
        ModelError: The graph has none of that name; the message lists near names.
    """
    found = find(graph, name)
    if found is not None:
        return found
    node = name.partition(":")[0]
    count = dict(_operations(graph)).get(node)
    if count is not None:
        raise ModelError(f"the graph has no tensor {name!r}: node {node!r} has {count} output(s)")
    near = difflib.get_close_matches(node, [each for each, n in _operations(graph) if n], 3)
    hint = "; did you mean " + ", ".join(f"'{each}:0'" for each in near) + "?" if near else ""
    raise ModelError(f"the graph has no tensor {name!r}{hint}")


def _operations(graph: int) -> Iterator[tuple[str, int]]:
    lib, position = library.library(), c_size_t(0)
    while operation := lib.TF_GraphNextOperation(graph, byref(position)):
        yield lib.TF_OperationName(operation).decode(), lib.TF_OperationNumOutputs(operation)


def dtype(at: TFOutput) -> DType:
    """Return the dtype of a tensor; that of the values for a TF1 reference."""
    return from_code(library.library().TF_OperationOutputType(at))


def fetchable(name: str, at: TFOutput) -> DType:
    """Return the dtype of a tensor that is to be fetched.

    Raises:
        ModelError: Its values can't leave TensorFlow: a handle, or a dtype no column has.
    """
    found = dtype(at)
    if found is STRING or found.numpy is not None:
        return found
    what = "a handle, not values" if found.name in ("resource", "variant") else "no column's type"
    raise ModelError(f"tensor {name!r} can't be fetched: its dtype is {found}, {what}")


def info(graph: int, at: TFOutput) -> tuple[DType, Shape]:
    """Return the dtype of a tensor, and its shape as far as TensorFlow infers it."""
    lib = library.library()
    with status() as state:
        rank: int = lib.TF_GraphGetTensorNumDims(graph, at, state)
    if rank < 0:
        return dtype(at), None
    dims = (c_int64 * rank)()
    with status() as state:
        lib.TF_GraphGetTensorShape(graph, at, dims, rank, state)
    return dtype(at), tuple(None if size < 0 else size for size in dims)
