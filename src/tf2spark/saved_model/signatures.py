"""Signatures of a MetaGraph as values, with TF2's flattened sparse and ragged inputs reassembled.

TF2 saves a signature as a wrapper around the user's function, and the wrapper takes only plain
tensors: a SparseTensor ``x`` becomes ``x`` (indices), ``x_1`` (values) and ``x_2`` (dense shape), a
RaggedTensor its flat values and row splits. Names don't say which tensors belong together. But the
wrapper's body shows which of its inputs goes to which argument of the user's function, and the
object graph has that function's own signature.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, TypeAlias

from attrs import evolve

from tf2spark import dtypes
from tf2spark.dtypes import Shape
from tf2spark.errors import ModelError
from tf2spark.saved_model.contract import Signature, TensorSpec
from tf2spark.saved_model.graph.function_library import CALLS
from tf2spark.saved_model.graph.loader_runs import INIT_SIGNATURE
from tf2spark.saved_model.graph.reachable_nodes import TRAIN_SIGNATURE
from tf2spark.saved_model.graph.upstream import is_control, node_name
from tf2spark.saved_model.protos import (
    FunctionMessage,
    MetaGraph,
    NodeMessage,
    SignatureMessage,
    TensorInfoMessage,
)

# TypeSpecProto.TypeSpecClass in tensorflow/core/protobuf/struct.proto.
_SPARSE, _RAGGED = 1, 3
_MAX_RANK = 254
_MAX_ELEMENTS = 2**40
_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})
_NOT_SIGNATURES = frozenset({INIT_SIGNATURE, TRAIN_SIGNATURE})
# The ops by which a wrapper's body calls the user's function.

Functions: TypeAlias = Mapping[str, FunctionMessage]


def signatures(meta_graph: MetaGraph) -> tuple[Signature, ...]:
    """Return the signatures of a MetaGraph; they, their inputs and outputs are sorted by name."""
    wrappers = _wrappers(meta_graph)
    functions = {
        function.signature.name: function for function in meta_graph.graph_def.library.function
    }
    nodes = meta_graph.graph_def.node
    placeholders = {node.name: node for node in nodes if node.op in _PLACEHOLDERS}
    return tuple(
        Signature(
            name,
            tuple(
                _narrowed(spec, placeholders)
                for spec in _inputs(meta_graph, functions, message, wrappers.get(name))
            ),
            tuple(spec for key in sorted(message.outputs) for spec in _specs(key, message.outputs)),
            message.method_name,
        )
        for name, message in sorted(meta_graph.signature_def.items())
        if name not in _NOT_SIGNATURES
    )


def shape(message: Any) -> Shape:
    """Return the shape in a TensorShapeProto.

    Raises:
        ModelError: TensorFlow has no such shape.
    """
    if message.unknown_rank:
        return None
    sizes = [dim.size for dim in message.dim]
    if len(sizes) > _MAX_RANK or any(size < -1 for size in sizes):
        raise ModelError(
            f"the model has a shape with {len(sizes)} dimensions, of which the smallest is "
            f"{min(sizes)}: TensorFlow knows up to {_MAX_RANK} dimensions, and -1 where one is "
            "unknown"
        )
    if prod(max(size, 1) for size in sizes) > _MAX_ELEMENTS:
        raise ModelError(
            f"the model has a tensor of shape {sizes}, and at most {_MAX_ELEMENTS:,} elements are "
            "supported"
        )
    return tuple(None if size < 0 else size for size in sizes)


def _narrowed(spec: TensorSpec, placeholders: Mapping[str, NodeMessage]) -> TensorSpec:
    """Return an input with the sizes that only its placeholder has, as TensorFlow relies on them.

    What contradicts the signature is left to `binding.graph_lookup.check_described`.
    """
    node = placeholders.get(node_name(spec.tensors[0])) if spec.kind == "dense" else None
    known = shape(node.attr["shape"].shape) if node is not None and "shape" in node.attr else None
    # TensorFlow 1 once wrote an unknown shape as that of a scalar.
    if not known or (spec.shape is not None and len(spec.shape) != len(known)):
        return spec
    sizes = zip(spec.shape or [None] * len(known), known, strict=True)
    return evolve(spec, shape=tuple(second if first is None else first for first, second in sizes))


def _specs(key: str, infos: Mapping[str, TensorInfoMessage]) -> Iterator[TensorSpec]:
    info = infos[key]
    if info.HasField("coo_sparse"):
        coo = info.coo_sparse
        names = (coo.indices_tensor_name, coo.values_tensor_name, coo.dense_shape_tensor_name)
        yield TensorSpec(key, _dtype(info), _shape(info), names, "sparse")
    elif info.HasField("composite_tensor"):
        components = list(info.composite_tensor.components)
        names = tuple(component.name for component in components)
        spec = _composite(key, info.composite_tensor.type_spec, names, ())
        if spec is not None:
            yield spec
        else:
            for i, component in enumerate(components):
                name = component.name
                yield TensorSpec(f"{key}/{i}", _dtype(component), _shape(component), (name,))
    else:
        yield TensorSpec(key, _dtype(info), _shape(info), (info.name,))


def _dtype(info: TensorInfoMessage) -> dtypes.DType:
    return dtypes.from_code(info.dtype)


def _shape(info: TensorInfoMessage) -> Shape:
    return shape(info.tensor_shape) if info.HasField("tensor_shape") else None


def _inputs(
    meta_graph: MetaGraph,
    functions: Functions,
    message: SignatureMessage,
    wrapper: tuple[str, list[str]] | None,
) -> tuple[TensorSpec, ...]:
    composites: list[TensorSpec] = []
    arguments: dict[str, str] = {}
    if wrapper is not None:
        name, keywords = wrapper
        keys, user_function = _call_keys(functions.get(name), keywords)
        composites, arguments = _reassemble(meta_graph, message.inputs, keys, user_function)
    parts = {part for spec in composites for part in spec.parts}
    plain = (
        evolve(spec, argument=arguments[key]) if key in arguments else spec
        for key in message.inputs
        if key not in parts
        for spec in _specs(key, message.inputs)
    )
    return tuple(sorted([*composites, *plain], key=lambda spec: spec.name))


def _wrappers(meta_graph: MetaGraph) -> dict[str, tuple[str, list[str]]]:
    """Return each signature's wrapper function, with the signature key of each argument."""
    nodes = meta_graph.object_graph_def.nodes
    root = _children(nodes[0]) if nodes else {}
    if not 0 < root.get("signatures", 0) < len(nodes):
        return {}
    functions = {
        name: nodes[index].bare_concrete_function
        for name, index in _children(nodes[root["signatures"]]).items()
        if 0 <= index < len(nodes)
    }
    return {
        name: (function.concrete_function_name, list(function.argument_keywords))
        for name, function in functions.items()
        if function.concrete_function_name
    }


def _children(node: Any) -> dict[str, int]:
    return {child.local_name: child.node_id for child in node.children}


def _reassemble(
    meta_graph: MetaGraph,
    infos: Mapping[str, TensorInfoMessage],
    keys: list[str],
    user_function: str,
) -> tuple[list[TensorSpec], dict[str, str]]:
    """Return the composite inputs that a signature lists as several plain tensors.

    And, by their keys, what plain inputs are in the arguments of the user's function, where these
    are nested: ``features["age"]``.
    """
    concrete = meta_graph.object_graph_def.concrete_functions
    if user_function not in concrete:
        return [], {}
    composites: list[TensorSpec] = []
    names_of_arguments: dict[tuple[str, ...], str] = {}
    arguments: dict[str, str] = {}
    start = 0
    for type_spec, place in _leaves(concrete[user_function].canonicalized_input_signature):
        count = 1 if type_spec is None else _component_count(type_spec)
        parts = tuple(keys[start : start + count])
        start += count
        if count == 0 or len(parts) < count:
            return [], {}  # an unknown structure: leave the plain tensors
        # The first two are: positional or by keyword, and which argument.
        argument = names_of_arguments.setdefault(place[:2], parts[0])
        if type_spec is None and place[2:]:
            arguments[parts[0]] = argument + "".join(f"[{each}]" for each in place[2:])
        if type_spec is not None and all(part in infos for part in parts):
            names = tuple(infos[part].name for part in parts)
            spec = _composite(parts[0], type_spec, names, parts)
            composites += [] if spec is None else [spec]
    return composites, _of_generated_names(arguments)


def _of_generated_names(arguments: Mapping[str, str]) -> dict[str, str]:
    """Leave out arguments whose tensors were named by the user, as Keras's inputs are.

    TensorFlow's own names are the argument's, then that with a number: features, features_1.
    """
    keys: dict[str, list[str]] = {}
    for key, place in arguments.items():
        keys.setdefault(place.partition("[")[0], []).append(key)
    generated = {
        argument
        for argument, names in keys.items()
        if all(re.fullmatch(rf"{re.escape(argument)}(_\d+)?", name) for name in names)
    }
    return {key: place for key, place in arguments.items() if place.partition("[")[0] in generated}


def _call_keys(wrapper: FunctionMessage | None, keywords: list[str]) -> tuple[list[str], str]:
    """Return the signature key behind each argument of the user's function, and its name."""
    if wrapper is not None:
        arguments = [argument.name for argument in wrapper.signature.input_arg]
        key_of = dict(zip(arguments, keywords, strict=False))
        for node in wrapper.node_def:
            if node.op in CALLS and "f" in node.attr:
                inputs = [key_of.get(name, "") for name in node.input if not is_control(name)]
                return inputs, node.attr["f"].func.name
    return [], ""


def _leaves(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Yield the tensors of a StructuredValue in the order of ``tf.nest.flatten``, and their places.

    A composite tensor yields its type spec, a plain tensor None. Arguments that aren't tensors (a
    Python bool, None) aren't inputs of the graph and yield nothing.
    """
    if value.HasField("type_spec_value"):
        yield value.type_spec_value, place
    elif value.HasField("tensor_spec_value") or value.HasField("bounded_tensor_spec_value"):
        yield None, place
    elif value.HasField("dict_value"):
        for key in sorted(value.dict_value.fields):
            yield from _leaves(value.dict_value.fields[key], (*place, json.dumps(key)))
    elif value.HasField("named_tuple_value"):
        for pair in value.named_tuple_value.values:
            yield from _leaves(pair.value, (*place, json.dumps(pair.key)))
    else:
        for index, element in enumerate((*value.list_value.values, *value.tuple_value.values)):
            yield from _leaves(element, (*place, str(index)))


def _component_count(type_spec: Any) -> int:
    """Return how many plain tensors a composite flattens into; 0 where unknown."""
    count = int(type_spec.num_flat_components)
    state = type_spec.type_state.tuple_value.values
    if count == 0 and type_spec.type_spec_class == _SPARSE:
        count = 3
    elif count == 0 and type_spec.type_spec_class == _RAGGED and len(state) > 2:
        count = 1 + int(state[2].int64_value)
    return max(count, 0)


def _composite(
    name: str, type_spec: Any, tensors: tuple[str, ...], parts: tuple[str, ...]
) -> TensorSpec | None:
    """Return the spec of a sparse or ragged tensor; None for any other kind.

    The state is that of ``SparseTensorSpec._serialize`` (shape, dtype) or
    ``RaggedTensorSpec._serialize`` (shape, dtype, ragged rank, dtype of the row splits). Components
    are in the order of `TensorSpec.tensors`.
    """
    state = type_spec.type_state.tuple_value.values
    state_sizes = {_SPARSE: 2, _RAGGED: 4}
    if len(state) < state_sizes.get(type_spec.type_spec_class, len(state) + 1):
        return None
    full_shape = shape(state[0].tensor_shape_value)
    dtype = dtypes.from_code(state[1].tensor_dtype_value)
    if type_spec.type_spec_class == _SPARSE:
        if len(tensors) != 3:
            return None
        return TensorSpec(name, dtype, full_shape, tensors, "sparse", parts)
    if len(tensors) < 2:  # ragged rank 0: a plain tensor
        return TensorSpec(name, dtype, full_shape, tensors)
    splits_dtype = dtypes.from_code(state[3].tensor_dtype_value)
    return TensorSpec(name, dtype, full_shape, tensors, "ragged", parts, splits_dtype)
