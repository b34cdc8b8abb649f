"""Models that do more than compute, and models that only look as if they did."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.client import pywrap_tf_session

from tf2spark.errors import ModelError, UnsafeModelError
from tf2spark.saved_model import op_allow_list, op_check, reader
from tf2spark.saved_model.protos import SavedModel

tf1 = tf.compat.v1
STRINGS = tf.TensorSpec([None], tf.string, "s")
FLOATS = tf.TensorSpec([None], tf.float32, "x")


class Actions(tf.Module):
    """Functions that compute, and functions that do something else."""

    def __init__(self, vocabulary: Path):
        super().__init__()
        index = tf.lookup.TextFileIndex
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                str(vocabulary), tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
            ),
            -1,
        )
        self.seen = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        self.count = tf.Variable(0.0)
        self.last = tf.Variable("", dtype=tf.string)

    @tf.function(input_signature=[STRINGS])
    def look_up(self, s):
        """Read a table."""
        return {"out": self.table.lookup(s)}

    @tf.function(input_signature=[FLOATS])
    def compute(self, x):
        """Use control flow, random numbers, an assertion, a print, a tf.data pipeline."""
        tf.debugging.assert_all_finite(x, "finite")
        tf.print("scoring", output_stream=tf1.logging.info)
        total = tf.while_loop(lambda i, t: i < 3, lambda i, t: (i + 1, t + x), [0, x])[1]
        total = tf.cond(tf.reduce_sum(x) > 0, lambda: total, lambda: -total)
        numbers = tf.data.Dataset.range(3).map(lambda i: i * i)
        extra = numbers.reduce(tf.constant(0, tf.int64), lambda a, b: a + b)
        return {"out": total + tf.random.uniform([]) + tf.cast(extra, tf.float32)}

    @tf.function(input_signature=[STRINGS])
    def write(self, s):
        """Write a file from within a loop."""

        def body(i):
            tf.io.write_file("/tmp/tf2spark-never-written", s[0])
            return i + 1

        return {"out": tf.while_loop(lambda i: i < tf.size(s), body, [0])[0]}

    @tf.function(input_signature=[STRINGS])
    def read(self, s):
        """Read the files that the rows name."""
        return {"out": tf.map_fn(tf.io.read_file, s)}

    @tf.function(input_signature=[STRINGS])
    def lines(self, s):
        """Read a file inside a tf.data pipeline."""
        lines = tf.data.TextLineDataset(s[0]).map(tf.strings.length)
        return {"out": lines.reduce(0, lambda a, b: a + b)}

    @tf.function(input_signature=[FLOATS])
    def python(self, x):
        """Call back into Python."""
        return {"out": tf.numpy_function(lambda v: v, [x], tf.float32)}

    @tf.function(input_signature=[STRINGS])
    def print_to_file(self, s):
        """Print into a file."""
        tf.print(s, output_stream="file:///tmp/tf2spark-never-written")
        return {"out": s}

    @tf.function(input_signature=[FLOATS])
    def counting(self, x):
        """Keep a number from run to run."""
        return {"out": x + self.count.assign_add(1.0)}

    @tf.function(input_signature=[STRINGS])
    def keep_in_variable(self, s):
        """Keep a string from run to run."""
        self.last.assign(s[0])
        return {"out": tf.identity(s)}

    @tf.function(input_signature=[STRINGS])
    def keep_in_table(self, s):
        """Keep strings from run to run."""
        self.seen.insert(s, tf.ones_like(s, tf.int64))
        return {"out": self.seen.lookup(s)}


SIGNATURES = [
    name for name, each in vars(Actions).items() if hasattr(each, "get_concrete_function")
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the models."""
    root = tmp_path_factory.mktemp("models")
    (root / "vocabulary.txt").write_text("film\nbook\n")
    actions = Actions(root / "vocabulary.txt")
    signatures = {name: getattr(actions, name) for name in SIGNATURES}
    tf.saved_model.save(actions, str(root / "actions"), signatures=signatures)
    return root


@pytest.fixture(scope="module")
def actions(root: Path) -> reader.LoadedModel:
    """Read the model of many functions."""
    return reader.read(root / "actions")


def fetches(model: reader.LoadedModel, signature: str) -> list[str]:
    found = {each.name: each for each in model.contract.signatures}[signature]
    return [tensor for spec in found.outputs for tensor in spec.tensors]


def refusal(model: reader.LoadedModel, signature: str, **options: Any) -> str:
    with pytest.raises(UnsafeModelError) as caught:
        op_check.check(model.meta_graph, fetches(model, signature), **options)
    return str(caught.value)


def graph_model(path: Path, build: Callable[[], dict[str, tf.Tensor]], **saving: Any) -> Any:
    """Save a TF1 graph with one output a key, and read its MetaGraph."""
    with tf.Graph().as_default(), tf1.Session() as session:
        outputs = build()
        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(str(path))
        definition = tf1.saved_model.predict_signature_def(outputs, outputs)
        if "assets" in saving:
            saving["assets_collection"] = tf1.get_collection(tf1.GraphKeys.ASSET_FILEPATHS)
        if saving.pop("assets", False):
            saving["main_op"] = tf1.tables_initializer()
        builder.add_meta_graph_and_variables(session, ["serve"], {"f": definition}, **saving)
        builder.save()
    return reader.read(path).meta_graph


@pytest.mark.parametrize("name", ["compute", "look_up", "counting", "keep_in_table"])
def test_what_only_computes_may_run(actions: reader.LoadedModel, name: str) -> None:
    """Control flow, tables on assets, variables, random numbers, logs, in-memory data are fine."""
    op_check.check(actions.meta_graph, fetches(actions, name))


def test_keras_models_may_run(tmp_path: Path) -> None:
    """Exports with text vectorisation, string lookup, LSTM and batch norm need no opening."""
    layers = keras.layers
    text = keras.Input((), dtype="string", name="text")
    word = keras.Input((1,), dtype="string", name="word")
    vectors = layers.TextVectorization(output_sequence_length=4, vocabulary=["a", "b"])(text)
    sequence = layers.LSTM(3)(layers.Embedding(9, 2)(vectors))
    known = layers.StringLookup(vocabulary=["x", "y"], output_mode="one_hot")(word)
    flat = layers.Flatten()(known)
    out = layers.BatchNormalization()(layers.Concatenate()([sequence, flat]))
    keras.Model([text, word], out).export(tmp_path / "m", verbose=False)
    model = reader.read(tmp_path / "m")
    op_check.check(model.meta_graph, fetches(model, "serving_default"))
    assert not op_check.retains_strings(model.meta_graph, fetches(model, "serving_default"))


def test_a_refusal_names_the_op_the_way_there_and_the_way_out(
    actions: reader.LoadedModel,
) -> None:
    """The message has the path of functions from the output to the op, and what opens it."""
    lines = refusal(actions, "write").split("\n")
    assert lines[0] == "the model would run ops that are not allowed:"
    assert re.fullmatch(
        r'  output "out" → StatefulPartitionedCall(_\d+)? → __inference_signature_wrapper_write_\d+'
        r" → StatefulPartitionedCall → __inference_write_\d+ → while → while_body_\d+"
        r' → WriteFile "while/WriteFile": reads or writes files',
        lines[1],
    )
    assert lines[2] == (
        'if you trust this model, allow them: allow_ops=["WriteFile"] '
        "(on the command line: --allow-op WriteFile)"
    )
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("name", "op", "why"),
    [
        ("read", "ReadFile", "reads or writes files"),
        ("lines", "TextLineDataset", "reads or writes files"),
        ("python", "PyFunc", "runs Python code"),
        ("print_to_file", "PrintV2", "prints into a file"),
    ],
)
def test_what_reaches_out_is_refused(
    actions: reader.LoadedModel, name: str, op: str, why: str
) -> None:
    """Files, Python and prints into files are refused, however deep they are, until allowed."""
    message = refusal(actions, name)
    assert re.search(rf'→ {op} "[^"]+": {why}\n', message)
    op_check.check(actions.meta_graph, fetches(actions, name), allow_ops=[op])


def test_only_what_runs_is_looked_at(actions: reader.LoadedModel, tmp_path: Path) -> None:
    """One output may be refused and another not; what is fed is not run."""
    ops = {node.op for node in actions.meta_graph.graph_def.node}
    bodies = actions.meta_graph.graph_def.library.function
    ops |= {node.op for body in bodies for node in body.node_def}
    assert {"SaveV2", "MergeV2Checkpoints", "RestoreV2", "WriteFile"} <= ops
    op_check.check(actions.meta_graph, fetches(actions, "compute"))

    def build() -> dict[str, tf.Tensor]:
        content = tf1.read_file(tf1.placeholder(tf.string, [], name="name"), name="content")
        return {"length": tf.strings.length(content, name="length")}

    meta_graph = graph_model(tmp_path / "m", build)
    with pytest.raises(UnsafeModelError, match=r'output "length" → ReadFile "content"'):
        op_check.check(meta_graph, ["length:0"])
    op_check.check(meta_graph, ["length:0"], ["content:0"])
    op_check.check(meta_graph, ["length"], ["content"])
    with pytest.raises(ModelError, match='the graph has no node "lenth"'):
        op_check.check(meta_graph, ["lenth:0"])


def test_control_inputs_are_followed(tmp_path: Path) -> None:
    """An op that an output merely waits for runs as well."""

    def build() -> dict[str, tf.Tensor]:
        with tf1.control_dependencies([tf1.write_file("/tmp/tf2spark-never-written", "x")]):
            return {"y": tf.identity(1.0, name="y")}

    with pytest.raises(UnsafeModelError, match="WriteFile"):
        op_check.check(graph_model(tmp_path / "m", build), ["y:0"])


def test_the_init_op_is_looked_at(tmp_path: Path) -> None:
    """What runs while the model loads is held to the same list."""

    def build() -> dict[str, tf.Tensor]:
        write = tf1.write_file("/tmp/tf2spark-never-written", "x")
        tf1.add_to_collection(tf1.GraphKeys.TABLE_INITIALIZERS, write)
        return {"y": tf.constant(1.0, name="y")}

    meta_graph = graph_model(tmp_path / "m", build, assets=True)
    with pytest.raises(UnsafeModelError, match="init op → WriteFile"):
        op_check.check(meta_graph, ["y:0"])


def file_table(name: str, *, asset: bool) -> Callable[[], dict[str, tf.Tensor]]:
    def build() -> dict[str, tf.Tensor]:
        index = tf.lookup.TextFileIndex
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                name, tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
            ),
            -1,
        )
        if not asset:
            tf1.get_default_graph().clear_collection(tf1.GraphKeys.ASSET_FILEPATHS)
        return {"y": table.lookup(tf.constant(["film"]))}

    return build


def test_a_table_may_read_the_models_own_asset_only(root: Path, tmp_path: Path) -> None:
    """A TF1 table on an asset may fill itself; the same on another path is refused."""
    name = str(root / "vocabulary.txt")
    own = graph_model(tmp_path / "own", file_table(name, asset=True), assets=True)
    output = own.signature_def["f"].outputs["y"].name
    op_check.check(own, [output])
    other = graph_model(tmp_path / "other", file_table(name, asset=False), assets=True)
    with pytest.raises(
        UnsafeModelError,
        match=r'init op → InitializeTableFromTextFileV2 "[^"]+": reads a file that is not one of',
    ):
        op_check.check(other, [output])


def changed(path: Path, change: Callable[[Any], None]) -> Any:
    """Read a model's MetaGraph, changed through TensorFlow's protos."""
    message = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    change(message.meta_graphs[0])
    return SavedModel.FromString(message.SerializeToString()).meta_graphs[0]


def test_the_path_of_an_asset_can_not_be_swapped(root: Path, actions: reader.LoadedModel) -> None:
    """TF2 passes an asset's path through a variable: a second value for it makes it untrusted."""

    def add_assign(meta_graph: Any) -> None:
        nodes = {node.name: node for node in meta_graph.graph_def.node}
        assign = meta_graph.graph_def.node.add()
        assign.CopyFrom(next(n for n in nodes.values() if n.op == "AssignVariableOp"))
        path = meta_graph.graph_def.node.add(name="path", op="Const")
        path.attr["dtype"].type = 7
        path.attr["value"].tensor.string_val.append(b"/etc/passwd")
        assign.name = "second"
        assign.input[1] = "path"
        nodes["NoOp"].input.append("^second")

    def share_name(meta_graph: Any) -> None:
        assigned = next(n for n in meta_graph.graph_def.node if n.op == "AssignVariableOp")
        variable = next(n for n in meta_graph.graph_def.node if n.name == assigned.input[0])
        twin = meta_graph.graph_def.node.add()
        twin.CopyFrom(variable)
        twin.name = "twin"

    output = fetches(actions, "look_up")
    op_check.check(changed(root / "actions", lambda _: None), output)
    for change in (add_assign, share_name):
        with pytest.raises(UnsafeModelError, match="is not one of the model's own assets"):
            op_check.check(changed(root / "actions", change), output)


def test_restoring_is_for_the_loader_alone(root: Path, tmp_path: Path) -> None:
    """RestoreV2 may read the model's variables while it loads, and nothing else, nowhere else."""

    def build() -> dict[str, tf.Tensor]:
        return {"y": tf.identity(tf1.get_variable("w", [2], use_resource=False), name="y")}

    meta_graph = graph_model(tmp_path / "m", build)
    op_check.check(meta_graph, ["y:0"])
    with pytest.raises(UnsafeModelError, match='tensor "save/RestoreV2:0" → RestoreV2'):
        op_check.check(meta_graph, ["save/RestoreV2:0"])

    def other_prefix(message: Any) -> None:
        node = next(n for n in message.graph_def.node if n.name == "save/RestoreV2")
        node.input[0] = "save/SaveV2/tensor_names"

    with pytest.raises(UnsafeModelError, match='restore op → RestoreV2 "save/RestoreV2"'):
        op_check.check(changed(tmp_path / "m", other_prefix), ["y:0"])


def test_a_graph_inside_a_constant_is_looked_at(tmp_path: Path) -> None:
    """A GraphDef in a string constant hides nothing, once what runs it is allowed."""

    def build() -> dict[str, tf.Tensor]:
        with tf.Graph().as_default() as hidden:
            tf1.read_file("/etc/passwd", name="hidden")
        content = hidden.as_graph_def().SerializeToString()
        dataset = tf.raw_ops.DatasetFromGraph(graph_def=tf.constant(content, name="program"))
        return {"y": tf.raw_ops.DatasetCardinality(input_dataset=dataset)}

    meta_graph = graph_model(tmp_path / "m", build)
    output = meta_graph.signature_def["f"].outputs["y"].name
    with pytest.raises(UnsafeModelError, match=r"DatasetFromGraph.*a program that this check can"):
        op_check.check(meta_graph, [output])
    with pytest.raises(
        UnsafeModelError, match=r'→ the graph inside "program" → ReadFile "hidden": reads or'
    ):
        op_check.check(meta_graph, [output], allow_ops=["DatasetFromGraph"])


def test_vocabularies_are_not_taken_for_graphs(tmp_path: Path) -> None:
    """Any strings may stand in a constant, those that begin like a GraphDef too."""
    words = [b"\nReadFile", b"\x0a\x08ReadFile", b"\x12\x03abc", b"WriteFile" * 9, b"\x0a" * 20]

    def build() -> dict[str, tf.Tensor]:
        return {"y": tf.identity(tf.constant(words), name="y")}

    op_check.check(graph_model(tmp_path / "m", build), ["y:0"])


def test_an_unknown_op_is_refused_as_such(root: Path, actions: reader.LoadedModel) -> None:
    """An op of a custom library is refused by name, and can be allowed."""

    def rename(meta_graph: Any) -> None:
        for function in meta_graph.graph_def.library.function:
            for node in function.node_def:
                if node.op == "LookupTableFindV2":
                    node.op = "SimpleMLInferenceOp"

    meta_graph = changed(root / "actions", rename)
    with pytest.raises(
        UnsafeModelError, match=r'SimpleMLInferenceOp ".*": unknown to tf2spark: it'
    ):
        op_check.check(meta_graph, fetches(actions, "look_up"))
    op_check.check(meta_graph, fetches(actions, "look_up"), allow_ops=["SimpleMLInferenceOp"])


@pytest.mark.parametrize(
    ("op", "attributes", "why"),
    [
        ("FixedUnigramCandidateSampler", {"vocab_file": b"/etc/passwd"}, "reads a file"),
        ("DecodeProtoV2", {"descriptor_source": b"/tmp/x.pb"}, "reads a file"),
        ("EncodeProto", {"descriptor_source": b"/tmp/x.pb"}, "reads a file"),
        ("Const", {"dtype": 20}, "makes the handle of a resource out of bytes"),
        ("ParseTensor", {"out_type": 20}, "makes the handle of a resource out of bytes"),
    ],
)
def test_attributes_can_make_an_op_unsafe(
    tmp_path: Path, op: str, attributes: dict[str, Any], why: str
) -> None:
    """An op that is fine by its name is refused with attributes that reach out."""
    graph_model(tmp_path / "m", lambda: {"y": tf.constant(1.0, name="y")})

    def add(value: bool) -> Callable[[Any], None]:
        def change(meta_graph: Any) -> None:
            node = meta_graph.graph_def.node.add(name="added", op=op)
            for key, content in attributes.items() if value else ():
                field = "type" if isinstance(content, int) else "s"
                setattr(node.attr[key], field, content)

        return change

    op_check.check(changed(tmp_path / "m", add(False)), ["added"])
    with pytest.raises(UnsafeModelError, match=f'tensor "added" → {op} "added": {why}'):
        op_check.check(changed(tmp_path / "m", add(True)), ["added"])


def test_functions_that_may_replace_another_are_looked_at(
    root: Path, actions: reader.LoadedModel
) -> None:
    """Grappler may run any function with the same api_implements, so all of them count."""

    def pair(meta_graph: Any) -> None:
        for function in meta_graph.graph_def.library.function:
            if re.match("__inference_(look_up|read)_", function.signature.name):
                function.attr["api_implements"].s = b"pair"

    with pytest.raises(UnsafeModelError, match=r"→ __inference_read_\d+ → .*ReadFile"):
        op_check.check(changed(root / "actions", pair), fetches(actions, "look_up"))


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("keep_in_variable", True),
        ("keep_in_table", True),
        ("look_up", False),
        ("compute", False),
        ("counting", False),
    ],
)
def test_models_that_keep_strings_are_known(
    actions: reader.LoadedModel, name: str, kept: bool
) -> None:
    """Strings that a run leaves behind must be copies; filling a table from an asset is no such."""
    assert op_check.retains_strings(actions.meta_graph, fetches(actions, name)) is kept


DANGEROUS = re.compile(
    r"PyFunc|(Read|Write|Whole|Matching)_?Files?|^Save|^Restore|^MergeV2|Checkpoint|Record"
    r"|TextLine|CSVData|LMDB|Sql|Snapshot|SummaryWriter|^Write.*Summary|ImportEvent|^Debug|Dump"
    r"|Rpc|DataService|Collective|Nccl|TPU|Infeed|Outfeed|Remote|Send|Recv|^Abort|FileSystem"
    r"|ImmutableConst|FromGraph|Heartbeat|VocabRemapping|LoadAndRemap|^LoadDataset|Mlir|XlaLaunch"
    r"|CustomCall|HostCompute|DTensor|CalibrationStat|CacheDataset|Skipgram|Iterator.*(Serialize|"
    r"FromStringHandle)|DeserializeIterator"
)


def test_no_dangerous_op_of_tensorflow_is_on_the_list() -> None:
    """No op of the installed TensorFlow that reaches out is allowed, and none took a typo."""
    buffer = pywrap_tf_session.TF_GetAllOpList()
    registry = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(buffer)).op
    names = {op.name for op in registry}
    allowed = {name for name in names if op_allow_list.reason_refused(name) is None}
    assert len(allowed) > 1200
    assert sorted(name for name in allowed if DANGEROUS.search(name)) == []
    assert {"ReadFile", "EagerPyFunc", "SaveV2"} <= names - allowed
    # An attribute that names a file or an address; op_check.py looks at those of these three.
    reaching = {
        op.name
        for op in registry
        if op.name in allowed
        and any(
            re.search(r"(^|_)(file|filename|path|url|urls|address|descriptor_source)(_|$)", a.name)
            for a in op.attr
        )
    }
    assert reaching <= {"DecodeProtoV2", "EncodeProto", "FixedUnigramCandidateSampler"}
    inputs = {
        op.name
        for op in registry
        if op.name in allowed and any(re.search("file|path", a.name) for a in op.input_arg)
    }
    assert inputs <= {
        "InitializeTableFromTextFile",
        "InitializeTableFromTextFileV2",
        "ShardedFilename",
        "ShardedFilespec",
    }


def test_the_list_holds_no_op_twice() -> None:
    """An op is allowed, or refused for one reason."""
    text = (Path(op_allow_list.__file__).parent / "safe_ops.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(("#", "["))]
    ops = " ".join(lines).split()
    assert len(ops) == len(set(ops))
