"""Replaces the modules that JAX exports (`XlaCallModule`) by the ops of TensorFlow that they are.

`XlaCallModule` is one op whatever is in it, so `recommend` can't split it, and XLA compiles it anew
for each number of rows. TensorFlow itself deserializes and prints its module; neither is JAX
needed, nor is anything run. What isn't translated keeps its module, with the reason.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tf2spark.compile.rewrites.rewriting import Refusal, Rewriting
from tf2spark.compile.stablehlo.literals import DTYPES
from tf2spark.compile.stablehlo.module_text import NotOpened, TensorType, parse, same_rows
from tf2spark.compile.stablehlo.translate import Module
from tf2spark.compile.stablehlo.values import (
    Known,
    Nodes,
    Rows,
    Sizes,
    Tensor,
    Value,
    in_full,
)
from tf2spark.saved_model.graph.function_library import JAX_MODULE, NOT_OPENED
from tf2spark.saved_model.graph.upstream import is_control, tensor_name
from tf2spark.saved_model.protos import GraphMessage, NodeMessage

_MAX_BYTES = 1 << 26
_MAX_TEXT = 1 << 28
# MLIR's text has no specification, and the module may be anything: it then stays whole.
_UNEXPECTED = (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError)


def open_modules(graph: GraphMessage) -> Rewriting:
    """Replace the modules of a graph, whose calls are inlined, by ops.

    Args:
        graph: The graph; it is changed.
    """
    rewritten, refused = [], []
    for node in [node for node in graph.node if node.op == JAX_MODULE]:
        try:
            _open(graph, node)
        except (NotOpened, *_UNEXPECTED) as error:
            reason = str(error)
            if not isinstance(error, NotOpened):
                reason = f"its module is in a form that isn't known ({type(error).__name__})"
            node.attr[NOT_OPENED].s = reason.encode()
            refused.append(Refusal(node.name, reason))
        else:
            rewritten.append(node.name)
    return Rewriting(tuple(rewritten), tuple(refused))


def _open(graph: GraphMessage, node: NodeMessage) -> None:
    _check_attributes(node)
    functions = parse(_text(node.attr["module"].s))
    main = functions.get("main")
    inputs = [name for name in node.input if not is_control(name)]
    platforms = _platforms(node)
    if main is None or len(main.parameters) != len(platforms) + len(inputs):
        raise NotOpened("its module has other inputs than the op")
    nodes = Nodes(type(graph)(), _free_prefix(graph, node.name))
    known_sizes = _sizes_of_constants(graph)
    arguments: list[Value] = list(platforms)
    open_parameters = []
    for name, (parameter, kind), code in zip(
        inputs, main.parameters[len(platforms) :], node.attr["Tin"].list.type, strict=True
    ):
        argument = _argument(name, kind, code, known_sizes.get(tensor_name(name)))
        if Rows() in argument.sizes:
            open_parameters.append(parameter)
            nodes.rows_of, nodes.rows_dtype = name, argument.dtype
        arguments.append(argument)
    if not open_parameters:
        raise NotOpened("its module is for a fixed number of rows")
    if not same_rows(main, open_parameters):
        raise NotOpened("its module doesn't say that its inputs have the same number of rows")
    results = [in_full(nodes, value) for value in Module(functions, nodes).call("main", arguments)]
    types = [tf.as_dtype(code).as_numpy_dtype for code in node.attr["Tout"].list.type]
    if [result.dtype for result in results] != [np.dtype(kind) for kind in types]:
        raise NotOpened("its module has other outputs than the op")
    nodes.refuse_row_numbers([result.name for result in results])
    graph.node.extend(nodes.graph.node)
    _replace(node, results)


def _replace(node: NodeMessage, results: list[Tensor]) -> None:
    """Make a node pass on the results, so that all its readers stay as they are."""
    controls = [name for name in node.input if is_control(name)]
    node.op = "IdentityN"
    node.attr.clear()
    node.attr["T"].list.type.extend(
        tf.as_dtype(result.dtype).as_datatype_enum for result in results
    )
    del node.input[:]
    node.input.extend([*(result.name for result in results), *controls])


def _check_attributes(node: NodeMessage) -> None:
    if len(node.attr["function_list"].list.func) or node.attr["has_token_input_output"].b:
        raise NotOpened("its module calls functions of TensorFlow")
    if len(node.attr["dim_args_spec"].list.s):
        raise NotOpened("its module takes sizes as inputs")


def _platforms(node: NodeMessage) -> list[Known]:
    """Return the first argument of a module for several platforms: which of them this is.

    Raises:
        NotOpened: It isn't for CPUs, on which what is opened is compared with it.
    """
    names = [name.decode() for name in node.attr["platforms"].list.s]
    if names and "CPU" not in names:
        raise NotOpened(
            f"its module is for {' and '.join(names)[:60]} only; export it for the CPU too: "
            '`jax2tf.convert(..., native_serialization_platforms=["cpu", "cuda"])`'
        )
    return [Known(np.array(names.index("CPU"), np.int32))] if len(names) > 1 else []


def _text(module: bytes) -> str:
    """Return a serialized module as text.

    Raises:
        NotOpened: This TensorFlow can't read it, or it is large.
    """
    if len(module) > _MAX_BYTES:
        raise NotOpened("its module is larger than 64 MiB")
    try:
        # Not public; the releases that lack them leave modules whole.
        from tensorflow.compiler.mlir.stablehlo import stablehlo
        from tensorflow.python._pywrap_mlir import ExperimentalRunPassPipeline
    except ImportError as error:
        raise NotOpened("this release of TensorFlow doesn't print modules") from error
    try:
        bytecode = stablehlo.deserialize_portable_artifact_str(module)
        # A pass that changes nothing of what is read here: what is printed is all that is wanted.
        text = ExperimentalRunPassPipeline(bytecode, "symbol-dce", False)
    except Exception as error:  # of any kind, from C++
        raise NotOpened("TensorFlow can't read its module") from error
    if len(text) > _MAX_TEXT:
        raise NotOpened("its module is larger than 256 MiB as text")
    return text if isinstance(text, str) else text.decode()


def _free_prefix(graph: GraphMessage, name: str) -> str:
    """Return a name that no other node's name begins with."""
    names = [node.name for node in graph.node]
    while any(other.startswith(f"{name}/") for other in names):
        name += "_opened"
    return name


def _sizes_of_constants(graph: GraphMessage) -> dict[str, tuple[int, ...]]:
    """Return the sizes of weights: a module may leave open how many rows a table has."""
    return {
        tensor_name(node.name): tuple(
            dim.size for dim in node.attr["value"].tensor.tensor_shape.dim
        )
        for node in graph.node
        if node.op == "Const"
    }


def _argument(name: str, kind: TensorType, code: int, known: tuple[int, ...] | None) -> Tensor:
    dtype = tf.as_dtype(code).as_numpy_dtype
    if DTYPES.get(kind.element) is not dtype:
        raise NotOpened(
            f"its module has inputs of type {kind.element[:20]}, which aren't those of the op"
        )
    if known is not None and len(known) == len(kind.sizes):
        return Tensor(name, np.dtype(dtype), known, known)
    if None in kind.sizes[1:]:
        raise NotOpened("its module leaves more sizes open than the number of rows")
    sizes: Sizes = tuple(Rows() if size is None else size for size in kind.sizes)
    return Tensor(name, np.dtype(dtype), sizes, sizes)
