"""Graphs whose names, references, versions or bytes are broken: a clear error refuses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hostile.attacks import Targets
from hostile.changes import Change, changed, last_node, set_output
from hostile.graphs import (
    FLOAT,
    INT64,
    STRING,
    Body,
    add_input,
    add_output,
    doubling_model,
    field,
    serialize,
    set_init_op,
    varint,
)
from hostile.model_files import VARIABLES, Model
from hostile.tricks import trick

# --- names and references -------------------------------------------------------------------------

_OUTPUT_NAMES = {
    "unknown": "nowhere:0",
    "index_too_large": "y:99999999999999999999",
    "index_negative": "y:-1",
    "index_unnumbered": "y:abc",
    "index_beyond": "y:7",
    "empty": "",
    "only_an_index": ":0",
    "control": "^y",
    "null": "y\0:0",
    "newlines": "y\n\n:0",
    "escapes": "\x1b[2J\x1b]0;owned\x07:0",
    "long": "y" * 1_000_000,
}
for _name, _tensor in _OUTPUT_NAMES.items():
    trick(f"output_name_{_name}")(changed(set_output("name", _tensor)))

for _code in (0, 101, 9999, -1):
    trick(f"output_dtype_{_code}")(changed(set_output("dtype", _code)))

_INPUTS = {
    "unknown": "nowhere",
    "empty": "",
    "control_of_nothing": "^",
    "index_beyond": "mul:5",
    "index_huge": "mul:99999999999999999999",
    "itself": "y",
    "with_colons": "a:b:c:d",
    "escapes": "\x1b[31m",
}


def _input_named(name: str) -> Change:
    return last_node(lambda node: node.input.__setitem__(0, name))


for _name, _tensor in _INPUTS.items():
    trick(f"input_of_a_node_{_name}")(changed(_input_named(_tensor)))


def _without_inputs(op: str) -> Change:
    def change(meta: Any) -> None:
        meta.graph_def.node.add(name="odd", op=op)
        meta.graph_def.node[3].input.append("^odd")

    return change


for _op in (
    "Identity",
    "ReadVariableOp",
    "InitializeTableFromTextFileV2",
    "RestoreV2",
    "StatefulPartitionedCall",
    "If",
    "Case",
    "While",
    "AssignVariableOp",
    "Const",
    "Switch",
    "PlaceholderWithDefault",
    "ParseTensor",
):
    trick(f"{_op}_without_inputs")(changed(_without_inputs(_op)))


@trick()
def identity_of_nothing_as_a_path(targets: Targets) -> Model:
    """A table's path is an Identity without an input."""
    meta = doubling_model()
    graph = Body(meta.graph_def)
    graph.add("t", "HashTableV2", key_dtype=INT64, value_dtype=STRING)
    graph.add("q", "Identity", T=STRING)
    graph.add("f", "InitializeTableFromTextFileV2", "t", "q", key_index=-1, value_index=-2)
    set_init_op(meta, "f")
    return Model((meta,))


@trick()
def variable_assigned_nothing(targets: Targets) -> Model:
    """The path's variable is assigned by a node that has one input."""
    meta = doubling_model()
    graph = Body(meta.graph_def)
    graph.add("t", "HashTableV2", key_dtype=INT64, value_dtype=STRING)
    graph.add("v", "VarHandleOp", dtype=STRING, shape=[])
    graph.add("set", "AssignVariableOp", "v", dtype=STRING)
    graph.add("q", "ReadVariableOp", "v", "^set", dtype=STRING)
    graph.add("f", "InitializeTableFromTextFileV2", "t", "q", key_index=-1, value_index=-2)
    set_init_op(meta, "f")
    return Model((meta,))


@trick()
def names_with_escapes_everywhere(targets: Targets) -> Model:
    """Names of nodes, signatures, inputs and functions that a terminal would act upon."""
    escape = "\x1b[2J\r\n<script>alert(1)</script>\u202e"
    meta = doubling_model()
    graph = Body(meta.graph_def)
    add_input(meta, f"in{escape}", "x:0", signature=f"sig{escape}")
    add_output(meta, "y:0", f"out{escape}", signature=f"sig{escape}")
    meta.meta_info_def.tensorflow_version = escape
    body = graph.function(f"f{escape}", [("a", FLOAT)], {"r": ("a", FLOAT)})
    assert body.in_function
    graph.nodes.add(name=f"n{escape}", op=f"Op{escape}")
    set_init_op(meta, f"n{escape}")
    return Model((meta,))


# --- versions, tags and savers --------------------------------------------------------------------


def _graph_version(**fields: int) -> Change:
    def change(meta: Any) -> None:
        for name, value in fields.items():
            setattr(meta.graph_def.versions, name, value)

    return change


trick("graph_of_a_future_version")(
    changed(_graph_version(producer=2_000_000_000, min_consumer=1_900_000_000))
)
trick("graph_of_version_0")(changed(_graph_version(producer=0)))
trick("graph_of_a_negative_version")(changed(_graph_version(producer=-5)))


@trick()
def no_tags(targets: Targets) -> Model:
    meta = doubling_model()
    del meta.meta_info_def.tags[:]
    return Model((meta,))


@trick()
def tags_with_escapes(targets: Targets) -> Model:
    return Model(tuple(doubling_model(*tags) for tags in (("a\x1b[2J\n", "b"), ("c\u202e",))))


@trick()
def ten_thousand_meta_graphs(targets: Targets) -> Model:
    good = field(2, doubling_model().SerializeToString())
    others = b"".join(field(2, field(1, field(4, b"t%d" % i))) for i in range(10_000))
    return Model(raw=b"\x08\x01" + others + good)


@trick()
def no_graph(targets: Targets) -> Model:
    meta = doubling_model()
    meta.graph_def.Clear()
    return Model((meta,))


@trick()
def no_signature(targets: Targets) -> Model:
    meta = doubling_model()
    meta.signature_def.clear()
    return Model((meta,))


@trick()
def schema_of_the_future(targets: Targets) -> Model:
    return Model(raw=serialize(doubling_model()).replace(b"\x08\x01", b"\x08\x63", 1))


@trick()
def restore_op_that_is_not_there(targets: Targets) -> Model:
    meta = doubling_model()
    meta.saver_def.restore_op_name = "nowhere"
    meta.saver_def.filename_tensor_name = "nowhere:0"
    return Model((meta,), VARIABLES)


@trick()
def init_op_that_is_not_there(targets: Targets) -> Model:
    meta = doubling_model()
    set_init_op(meta, "nowhere")
    return Model((meta,))


def _device(name: str) -> Callable[[Targets], Model]:
    return changed(last_node(lambda node: setattr(node, "device", name)))


_DEVICES = {
    "of_another_process": "/job:worker/replica:0/task:1/device:CPU:0",
    "that_is_not_there": "/device:GPU:7",
    "of_nonsense": "\x1b[2J/job:/\n",
    "with_a_huge_number": "/device:CPU:99999999999999999999",
}
for _name, _text in _DEVICES.items():
    trick(f"device_{_name}")(_device(_text))


def _attribute(name: str, **value: Any) -> Callable[[Targets], Model]:
    def change(node: Any) -> None:
        for key, content in value.items():
            if key == "strings":
                node.attr[name].list.s.extend(content)
            else:
                setattr(node.attr[name], key, content)

    return changed(last_node(change))


trick("colocated_with_nothing")(_attribute("_class", strings=[b"loc:@nowhere"]))
trick("colocated_with_nonsense")(_attribute("_class", strings=[b"loc:@\xff", b"", b"x" * 10_000]))
trick("kernel_of_another_label")(_attribute("_kernel", s=b"MklOp\x1b"))
trick("attribute_of_a_wrong_type")(_attribute("T", s=b"float"))
trick("attribute_of_an_unknown_dtype")(_attribute("T", type=77))
trick("attribute_of_an_unknown_name")(_attribute("no_such_attribute", i=1))


# --- bytes ----------------------------------------------------------------------------------------

_GOOD = serialize(doubling_model())
_BYTES = {
    "nothing": b"",
    "a_zero": b"\0",
    "text": b"not a model\n" * 100,
    "half_of_a_model": _GOOD[: len(_GOOD) // 2],
    "a_model_twice": _GOOD + _GOOD,
    "a_length_of_2_to_the_63": b"\x08\x01" + varint(2 << 3 | 2) + varint(1 << 63),
    "an_endless_number": b"\x08" + b"\xff" * 100,
    "groups_in_groups": b"\x0b" * 100_000,
    "a_packed_list_of_nothing": field(2, field(2, varint(1 << 3 | 2) + varint(1 << 31))),
}


def _of_bytes(content: bytes) -> Callable[[Targets], Model]:
    return lambda targets: Model(raw=content)


for _name, _content in _BYTES.items():
    trick(f"bytes_{_name}")(_of_bytes(_content))
