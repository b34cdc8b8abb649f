"""`map_entries`: attributes that only TensorFlow would see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cases.tensorflow_loader import load_meta_graph
from cases.wire_format import field
from tf2spark.errors import ModelError
from tf2spark.saved_model import reader
from tf2spark.saved_model.protos import SavedModel
from tf2spark.saved_model.safety.map_entries import check_map_entries

# A map entry with an unknown field inside: field 1, the key, as a number.
_UNKNOWN = b"\x08\x01"


def with_hidden_attribute(path: Path) -> bytes:
    """Write a model with an attribute that Python's protobuf leaves out."""
    node = field(1, b"c") + field(2, b"Const")
    dtype = field(5, field(1, b"dtype") + field(2, b"\x30\x01") + _UNKNOWN)
    value = field(5, field(1, b"value") + field(2, field(8, b"\x08\x01" + field(2, b""))))
    graph = field(1, node + dtype + value) + field(4, b"\x08\x01")
    content = field(2, field(1, field(4, b"serve")) + field(2, graph))
    path.mkdir()
    (path / "saved_model.pb").write_bytes(content)
    return content


def test_an_attribute_hidden_from_python_is_refused(tmp_path: Path) -> None:
    """TensorFlow reads an attribute that Python's protobuf leaves out, so the model is refused."""
    content = with_hidden_attribute(tmp_path / "m")
    node = SavedModel.FromString(content).meta_graphs[0].graph_def.node[0]
    seen_by_tensorflow = load_meta_graph(tmp_path / "m")
    assert seen_by_tensorflow is not None
    graph = type(SavedModel().meta_graphs.add()).FromString(seen_by_tensorflow).graph_def
    assert (set(node.attr), set(graph.node[0].attr)) == ({"value"}, {"value", "dtype"})
    message = 'a map in NodeDef "c" has a malformed entry'
    with pytest.raises(ModelError, match=message):
        reader.read(tmp_path / "m")


@pytest.mark.parametrize("where", ["meta graph", "signature", "function", "attribute", "list"])
def test_every_map_is_checked(where: str) -> None:
    """Signatures, collections, functions, and the attributes of functions in attributes."""
    meta_graph = SavedModel().meta_graphs.add()
    function = meta_graph.graph_def.library.function.add()
    node: Any = function.node_def.add(name="n", op="PartitionedCall")
    meta_graph.signature_def["s"].method_name = "m"
    node.attr["f"].func.attr["g"].list.func.add(name="h")
    check_map_entries(meta_graph)
    holder, number = {
        "meta graph": (meta_graph, 4),
        "signature": (meta_graph.signature_def["s"], 1),
        "function": (function, 5),
        "attribute": (node.attr["f"].func, 2),
        "list": (node.attr["f"].func.attr["g"].list.func[0], 2),
    }[where]
    holder.MergeFromString(field(number, field(1, b"key") + field(2, b"") + _UNKNOWN))
    with pytest.raises(ModelError, match="has a malformed entry"):
        check_map_entries(meta_graph)
