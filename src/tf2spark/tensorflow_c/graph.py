"""Look tensors up in a TensorFlow graph: by name, with dtype and shape."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from ctypes import byref, c_int64, c_size_t

from tf2spark.dtypes import STRING, DType, Shape, from_code
from tf2spark.errors import ModelError
from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.tensorflow_c.library import TFOutput, status, tensorflow


def graph_tensor_info(
    graph_def: bytes, names: Iterable[str]
) -> dict[str, tuple[DType, Shape] | None]:
    """Return the dtype and shape of tensors of a graph, without making a session.

    TensorFlow's own shape inference runs over the whole graph.

    Args:
        graph_def: A serialized ``GraphDef``.
        names: Names of tensors: "node:0", or "node" for its output 0.

    Returns:
        Dtype and shape by name; None for a name that isn't in the graph.

    Raises:
        ModelError: TensorFlow can't read the graph.
    """
    lib = tensorflow()
    graph: int = lib.TF_NewGraph()
    try:
        _import(graph, graph_def)
        outputs = {name: find(graph, name) for name in names}
        return {
            name: None if output is None else info(graph, output)
            for name, output in outputs.items()
        }
    finally:
        lib.TF_DeleteGraph(graph)


def _import(graph: int, graph_def: bytes) -> None:
    lib = tensorflow()
    options = lib.TF_NewImportGraphDefOptions()
    content = lib.TF_NewBufferFromString(graph_def, len(graph_def))
    try:
        lib.TF_ImportGraphDefOptionsSetPrefix(options, b"")
        with status() as state:
            lib.TF_GraphImportGraphDef(graph, content, options, state)
    except TensorFlowFailure as failure:
        raise ModelError(f"TensorFlow can't read the graph: {failure.message}") from failure
    finally:
        lib.TF_DeleteBuffer(content)
        lib.TF_DeleteImportGraphDefOptions(options)


def find(graph: int, name: str) -> TFOutput | None:
    """Return the output that "node:0" or "node" names, or None if the graph has none."""
    lib = tensorflow()
    node, colon, index = name.partition(":")
    # The operation belongs to the graph: it must not be freed, nor outlive it.
    operation: int | None = lib.TF_GraphOperationByName(graph, node.encode())
    position = int(index) if index.isdecimal() else -1 if colon else 0
    # TensorFlow itself aborts the process at an output that an operation doesn't have.
    if operation is None or not 0 <= position < lib.TF_OperationNumOutputs(operation):
        return None
    return TFOutput(operation, position)


def operation(graph: int, name: str) -> int:
    """Return the operation of a node.

    Raises:
        ModelError: The graph has none of that name.
    """
    pointer: int | None = tensorflow().TF_GraphOperationByName(graph, name.encode())
    if pointer is None:
        raise ModelError(f"the graph has no node {name!r}")
    return pointer


def output(graph: int, name: str) -> TFOutput:
    """Return the output that "node:0" or "node" names.

    Raises:
        ModelError: The graph has none of that name; the message lists similar names.
    """
    tensor = find(graph, name)
    if tensor is not None:
        return tensor
    node = name.partition(":")[0]
    count = dict(_operations(graph)).get(node)
    if count is not None:
        raise ModelError(f"the graph has no tensor {name!r}: node {node!r} has {count} output(s)")
    names = [operation for operation, outputs in _operations(graph) if outputs]
    similar = difflib.get_close_matches(node, names, 3)
    hint = "; did you mean " + ", ".join(f"'{name}:0'" for name in similar) + "?" if similar else ""
    raise ModelError(f"the graph has no tensor {name!r}{hint}")


def _operations(graph: int) -> Iterator[tuple[str, int]]:
    lib, position = tensorflow(), c_size_t(0)
    while operation := lib.TF_GraphNextOperation(graph, byref(position)):
        yield lib.TF_OperationName(operation).decode(), lib.TF_OperationNumOutputs(operation)


def dtype(tensor: TFOutput) -> DType:
    """Return the dtype of a tensor; that of the values for a TF1 reference."""
    return from_code(tensorflow().TF_OperationOutputType(tensor))


def fetchable(name: str, tensor: TFOutput) -> DType:
    """Return the dtype of a tensor that is to be fetched.

    Raises:
        ModelError: Its values can't leave TensorFlow: a handle, or a dtype no column has.
    """
    kind = dtype(tensor)
    if kind is STRING or kind.numpy is not None:
        return kind
    if kind.name in ("resource", "variant"):
        problem = "which is a handle and has no values"
    else:
        problem = "which no column can hold"
    raise ModelError(f"tensor {name!r} can't be fetched: its dtype is {kind}, {problem}")


def info(graph: int, tensor: TFOutput) -> tuple[DType, Shape]:
    """Return the dtype of a tensor, and its shape as far as TensorFlow infers it."""
    lib = tensorflow()
    with status() as state:
        rank: int = lib.TF_GraphGetTensorNumDims(graph, tensor, state)
    # TensorFlow writes an unknown rank, like an unknown dimension, as -1.
    if rank < 0:
        return dtype(tensor), None
    dims = (c_int64 * rank)()
    with status() as state:
        lib.TF_GraphGetTensorShape(graph, tensor, dims, rank, state)
    return dtype(tensor), tuple(None if size < 0 else size for size in dims)
