"""A program that compares what TensorFlow's loader and our reader make of damaged models.

It runs in a process of its own, because TensorFlow ends the process at some malformed graphs. Its
arguments are a folder, a seed and a number of models; it prints how many both could read.
"""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from cases.tensorflow_loader import load_meta_graph
from cases.wire_format import mutate, parse, write
from tf2spark.errors import Tf2SparkError
from tf2spark.saved_model import reader
from tf2spark.saved_model.protos import SavedModel

_FLOAT = 1


def model() -> Any:
    """Return a model with a call, a branch, a collection, assets, signatures and objects."""
    message = SavedModel()
    meta_graph = message.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    meta_graph.collection_def["legacy_init_op"].node_list.value.append("index")
    meta_graph.saver_def.filename_tensor_name = "index:0"
    meta_graph.asset_file_def.add(filename="words.txt").tensor_info.name = "asset:0"
    add_graph(meta_graph.graph_def)
    signature = meta_graph.signature_def["serving_default"]
    signature.outputs["y"].name = "chosen:0"
    signature.outputs["y"].dtype = _FLOAT
    signature.outputs["s"].coo_sparse.values_tensor_name = "value:0"
    objects = meta_graph.object_graph_def
    objects.nodes.add().children.add(node_id=1, local_name="signatures")
    objects.nodes.add().bare_concrete_function.concrete_function_name = "g"
    state = objects.concrete_functions["g"].canonicalized_input_signature.tuple_value.values
    state.add().tensor_spec_value.name = "a"
    state.add().int64_value = 3
    return message


def add_graph(graph: Any) -> None:
    graph.versions.producer = 1882
    for name, dtype in (("index", 3), ("value", _FLOAT), ("asset", 7)):
        node = graph.node.add(name=name, op="Const")
        node.attr["dtype"].type = dtype
        node.attr["value"].tensor.dtype = dtype
        node.attr["value"].tensor.tensor_shape.SetInParent()
        if dtype == 7:
            node.attr["value"].tensor.string_val.append(b"x")
    function = graph.library.function.add()
    function.signature.name = "g"
    function.signature.input_arg.add(name="a", type=_FLOAT)
    function.signature.output_arg.add(name="r", type=_FLOAT)
    function.node_def.add(name="i", op="Identity", input=["a"]).attr["T"].type = _FLOAT
    function.ret["r"] = "i:output:0"
    chosen = graph.node.add(name="chosen", op="Case", input=["index", "value"])
    called = graph.node.add(name="called", op="PartitionedCall", input=["value"])
    for node in (chosen, called):
        node.attr["Tin"].list.type.append(_FLOAT)
        node.attr["Tout"].list.type.append(_FLOAT)
    for _ in range(2):
        chosen.attr["branches"].list.func.add(name="g")
    called.attr["f"].func.name = "g"


def differences(folder: Path, seed: int, count: int) -> Iterator[str]:
    """Yield a line per model; one that begins with "differs" shows what each reader read."""
    choice = random.Random(seed)
    fields = parse(model().SerializeToString(), SavedModel.DESCRIPTOR)
    for number in range(count):
        changed = copy.deepcopy(fields)
        for _ in range(choice.choice([1, 1, 1, 2, 3]) if number else 0):
            mutate(changed, choice)
        (folder / "saved_model.pb").write_bytes(write(changed))
        try:
            ours = reader.read(folder).meta_graph
        except Tf2SparkError:
            continue
        content = load_meta_graph(folder)
        if content is not None:
            theirs = type(ours).FromString(content)
            same = json_format.MessageToDict(ours) == json_format.MessageToDict(theirs)
            yield "same" if same else f"differs: {ours} {theirs}"


def main() -> None:
    """Compare models that are damaged at random."""
    folder, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    (folder / "assets").mkdir(parents=True)
    (folder / "assets" / "words.txt").write_text("a\n")
    lines = list(differences(folder, seed, count))
    print("\n".join(line for line in lines if line != "same") or f"same: {len(lines)}")


if __name__ == "__main__":
    main()
