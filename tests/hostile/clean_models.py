"""Good models that look like attacks: same places, same ops, nothing to refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2

from hostile import places_in_datasets as places_in_datasets
from hostile import places_in_functions as places_in_functions
from hostile.attacks import HARMLESS, Targets
from hostile.file_tricks import write_checkpointed
from hostile.graphs import (
    FLOAT,
    INT32,
    INT64,
    STRING,
    Body,
    add_asset,
    add_input,
    add_output,
    add_table,
    base_model,
    doubling_model,
    finish,
    hidden_graph,
    serialize,
    set_init_op,
)
from hostile.harness import Write
from hostile.hiding_places import PLACES
from hostile.model_files import Model, stored, weight, write_package
from hostile.package_tricks import weighted_graph

CLEAN: dict[str, Write] = {}
# TensorFlow itself refuses these, whatever they hide.
_ILL_FORMED = {
    "first_of_equal_tags",
    "last_of_equal_tags",
    "first_with_a_tag_twice",
    "last_with_a_tag_twice",
    "function_named_like_an_op",
    "second_init_op",
    "main_op_despite_an_empty_signature",
    "xla_function_list",
}


def _register(build: Any) -> Any:
    """Register a function that returns a model, which is written and gives y = 2x."""
    CLEAN[build.__name__] = lambda folder, targets: build().write(folder)
    return build


def _in_place(name: str) -> Write:
    def write(folder: Path, targets: Targets) -> Path:
        return PLACES[name].hide(HARMLESS, targets).write(folder)

    return write


CLEAN.update({f"nothing_in_{name}": _in_place(name) for name in PLACES if name not in _ILL_FORMED})


def _after(build: Any) -> Model:
    """Return a model whose output waits for a node that `build` adds, given the graph."""
    meta = base_model()
    return Model((finish(meta, build(Body(meta.graph_def))),))


@_register
def plain() -> Model:
    return Model((doubling_model(),))


@_register
def table_from_an_asset() -> Model:
    meta = base_model()
    add_table(meta, add_asset(meta, "lists/words.txt"))
    return Model((add_output(meta, "mul:0"),), {"assets/lists/words.txt": b"a\nb\n"})


@_register
def table_whose_path_is_in_a_variable() -> Model:
    """As TensorFlow 2 saves a table."""
    meta = base_model()
    graph = Body(meta.graph_def)
    asset = add_asset(meta)
    graph.add("v", "VarHandleOp", dtype=STRING, shape=[], shared_name="path")
    graph.add("set", "AssignVariableOp", "v", asset, dtype=STRING)
    graph.add("read", "ReadVariableOp", "v", "^set", dtype=STRING)
    add_table(meta, "read")
    return Model((add_output(meta, "mul:0"),), {"assets/words.txt": b"a\nb\n"})


@_register
def table_from_constants() -> Model:
    meta = base_model()
    graph = Body(meta.graph_def)
    keys, values = graph.const("keys", [1, 2], INT64), graph.const("values", [b"a", b"b"])
    graph.add("t", "HashTableV2", key_dtype=INT64, value_dtype=STRING, shared_name="t")
    graph.add("fill", "LookupTableImportV2", "t", keys, values, Tin=INT64, Tout=STRING)
    set_init_op(meta, "fill")
    graph.add("size", "LookupTableSizeV2", "t")
    return Model((finish(meta, "size"),))


@_register
def savers_that_nothing_runs() -> Model:
    """Every trained model has nodes that save it."""
    meta = doubling_model()
    graph = Body(meta.graph_def)
    prefix, names = graph.const("prefix", b"unset"), graph.const("names", [b"a"])
    slices, values = graph.const("slices", [b""]), graph.const("values", 1.0, FLOAT)
    graph.add("save", "SaveV2", prefix, names, slices, values, dtypes=[FLOAT])
    parts = graph.const("parts", [b"part"])
    graph.add("merge", "MergeV2Checkpoints", parts, prefix, "^save")
    return Model((meta,))


@_register
def prints_and_assertions() -> Model:
    def build(graph: Body) -> str:
        text, true = graph.const("text", b"scoring"), graph.const("true", True)
        graph.add("print", "PrintV2", text, output_stream="log(info)")
        graph.add("assert", "Assert", true, text, "^print", T=[STRING])
        return "assert"

    return _after(build)


@_register
def protocol_buffers_with_their_descriptor() -> Model:
    file = descriptor_pb2.FileDescriptorProto(name="a.proto", package="a", syntax="proto3")
    message = file.message_type.add(name="B")
    message.field.add(name="c", number=1, type=9, label=1)
    described = descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString()

    def build(graph: Body) -> str:
        return graph.add(
            "decoded",
            "DecodeProtoV2",
            graph.const("bytes", [b"\n\x01v"]),
            message_type="a.B",
            field_names=["c"],
            output_types=[STRING],
            descriptor_source=b"bytes://" + described,
        )

    return _after(build)


@_register
def candidates_of_a_list() -> Model:
    def build(graph: Body) -> str:
        return graph.add(
            "sampled",
            "FixedUnigramCandidateSampler",
            graph.const("classes", [[0]], INT64),
            num_true=1,
            num_sampled=1,
            unique=False,
            range_max=2,
            vocab_file="",
            unigrams=[1.0, 2.0],
        )

    return _after(build)


@_register
def tensors_in_strings() -> Model:
    def build(graph: Body) -> str:
        numbers = graph.const("numbers", [1.0, 2.0], FLOAT)
        text = graph.add("text", "SerializeTensor", numbers, T=FLOAT)
        return graph.add("parsed", "ParseTensor", text, out_type=FLOAT)

    return _after(build)


@_register
def words_that_look_like_graphs() -> Model:
    words = [b"\nReadFile", b"\x0a\x08ReadFile", b"\x12\x03abc", b"WriteFile" * 9, b"\x0a" * 20]
    return _after(lambda graph: graph.const("words", words))


@_register
def a_graph_that_only_computes_in_a_constant() -> Model:
    graph_bytes = hidden_graph(lambda body: body.const("c", 1.0))
    return _after(lambda graph: graph.const("program", graph_bytes))


@_register
def names_of_all_scripts() -> Model:
    meta = doubling_model()
    add_input(meta, "größe", "x:0", signature="Größe 大小")
    return Model((add_output(meta, "y:0", "wert_值", signature="Größe 大小"),))


@_register
def graphs_of_two_tags() -> Model:
    return Model((doubling_model("serve", "gpu"), doubling_model(), doubling_model("train")))


@_register
def random_numbers() -> Model:
    def build(graph: Body) -> str:
        sizes = graph.const("sizes", [3], INT32)
        return graph.add("drawn", "RandomUniform", sizes, T=INT32, dtype=FLOAT)

    return _after(build)


@_register
def two_variables_of_different_names() -> Model:
    meta = base_model()
    graph = Body(meta.graph_def)
    for name in ("v", "w"):
        graph.add(name, "VarHandleOp", dtype=FLOAT, shape=[], shared_name=name)
        graph.add(f"set_{name}", "AssignVariableOp", name, "two", dtype=FLOAT)
    graph.add("set", "NoOp", "^set_v", "^set_w")
    set_init_op(meta, "set")
    graph.add("read", "ReadVariableOp", "v", dtype=FLOAT)
    graph.add("y", "Mul", "x", "read", T=FLOAT)
    return Model((add_output(meta, "y:0"),))


@_register
def files_of_other_tools() -> Model:
    warmup = b"\x03" + b"\0" * 11 + b"abc" + b"\0" * 4
    return Model(
        (doubling_model(),),
        {
            "assets.extra/tf_serving_warmup_requests": warmup * 3,
            "fingerprint.pb": b"\x08\x01",
            "keras_metadata.pb": b"\n\x03abc",
            "assets/README.md": b"# A model\n",
            "debug/saved_model_debug_info.pb": b"",
        },
    )


def _variables_of_a_checkpoint(folder: Path, targets: Targets) -> Path:
    write_checkpointed(folder)
    return folder


def _package(folder: Path, targets: Targets) -> Path:
    return write_package(folder, [stored("saved_model.pb", serialize(doubling_model()))])


def _package_with_a_weight(folder: Path, targets: Targets) -> Path:
    content = b"ordinary bytes"
    files = [
        stored("saved_model.pb", weighted_graph(len(content))),
        stored("weights/0.bin", content),
    ]
    return write_package(folder, files, [weight("weights/0.bin", 4, [len(content)])])


def _version_folders(folder: Path, targets: Targets) -> Path:
    for version in ("1", "2", "010"):
        Model((doubling_model(),)).write(folder / version)
    (folder / "notes").mkdir()
    return folder


CLEAN["variables_of_a_checkpoint"] = _variables_of_a_checkpoint
CLEAN["package"] = _package
CLEAN["package_with_a_weight"] = _package_with_a_weight
CLEAN["version_folders"] = _version_folders
