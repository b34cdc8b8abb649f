"""Real SavedModels, written by TensorFlow and read without it."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2

from tf2spark import dtypes
from tf2spark.errors import ModelError, ModelNotFoundError, UnsafeModelError
from tf2spark.saved_model import reader
from tf2spark.saved_model.contract import Signature, TensorSpec
from tf2spark.saved_model.protos import SavedModel

tf1 = tf.compat.v1


class Composites(tf.Module):
    """Functions of sparse, ragged and dense inputs."""

    @tf.function(
        input_signature=[
            tf.SparseTensorSpec([None, 5], tf.float32),
            tf.TensorSpec([None, 2], tf.float32),
            tf.RaggedTensorSpec([None, None], tf.int64, ragged_rank=1),
            tf.RaggedTensorSpec(
                [None, None, None], tf.float32, ragged_rank=2, row_splits_dtype=tf.int32
            ),
        ]
    )
    def mixed(self, x, d, r, r2):
        """Weigh every part differently, so that swapped tensors change the result."""
        total = tf.sparse.reduce_sum(x * tf.range(1.0, 6.0), 1) + 100 * tf.reduce_sum(d, 1)
        total += 1000 * tf.cast(tf.reduce_sum(r, 1), tf.float32)
        total += 10_000 * tf.reduce_sum(tf.reduce_max(r2, 2), 1)
        return {"total": total, "ragged": r * 2, "sparse": x}

    @tf.function(
        input_signature=[
            {
                "b": tf.SparseTensorSpec([None, None], tf.string),
                "a": tf.TensorSpec([None], tf.int32),
                "c": (
                    tf.TensorSpec([], tf.float32),
                    tf.RaggedTensorSpec([None, None, 3], tf.float32, ragged_rank=1),
                ),
            }
        ]
    )
    def nested(self, features):
        """Take a dict with a tuple in it."""
        return tf.sparse.to_dense(features["b"])

    @tf.function(
        input_signature=[
            tf.SparseTensorSpec([None, 5], tf.float32),
            tf.SparseTensorSpec([None, 5], tf.float32),
        ]
    )
    def clash(self, x, x_1):
        """Have an argument whose name is also that of another's part."""
        return tf.sparse.reduce_sum(x, 1) - 2 * tf.sparse.reduce_sum(x_1, 1)


class Vocabulary(tf.Module):
    """A table that fills itself from an asset."""

    def __init__(self, path: Path):
        super().__init__()
        index = tf.lookup.TextFileIndex
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                str(path), tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
            ),
            -1,
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "word")])
    def look_up(self, word):
        """Return the word's number."""
        return {"number": self.table.lookup(word)}


def save_tf1(path: Path, vocabulary: Path) -> None:
    """Save a TF1 graph: variable, keep_prob, a sparse placeholder, a table with its file."""
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None, 3], name="x")
        keep_prob = tf1.placeholder_with_default(1.0, [], name="keep_prob")
        w = tf1.get_variable("w", [3, 1], use_resource=False)
        y = tf.identity(tf1.nn.dropout(tf.matmul(x, w), rate=1 - keep_prob), name="y")
        sparse = tf1.sparse_placeholder(tf.float32, [None, 7], name="sp")
        z = tf.sparse.reduce_sum(sparse, 1, name="z")
        word = tf1.placeholder(tf.string, [None], name="word")
        number = Vocabulary(vocabulary).table.lookup(word)
        session.run([tf1.global_variables_initializer(), tf1.tables_initializer()])
        builder = tf1.saved_model.Builder(str(path))
        define = tf1.saved_model.predict_signature_def
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {
                "serving_default": define({"x": x, "sp": sparse, "word": word}, {"y": y, "z": z}),
                "look_up": define({"word": word}, {"number": number}),
            },
            assets_collection=tf1.get_collection(tf1.GraphKeys.ASSET_FILEPATHS),
            main_op=tf1.tables_initializer(),
        )
        builder.add_meta_graph(["serve", "gpu"], {"other": define({"x": x}, {"y": y})})
        builder.save()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write one model of each kind."""
    root = tmp_path_factory.mktemp("models")
    vocabulary = root / "vocabulary.txt"
    vocabulary.write_text("film\nbook\n")
    module = Composites()
    for name in ("mixed", "nested", "clash"):
        signature = {"serving_default": getattr(module, name)}
        tf.saved_model.save(module, str(root / name), signatures=signature)
    words = Vocabulary(vocabulary)
    tf.saved_model.save(words, str(root / "words"), signatures=words.look_up)
    save_tf1(root / "tf1", vocabulary)
    a, b = keras.Input((2,), name="b"), keras.Input((3,), name="a", dtype="int32")
    layers = keras.layers
    joined = layers.Concatenate()([a, layers.Flatten()(layers.Embedding(9, 2)(b))])
    outputs = {"score": layers.Dense(1)(joined), "more": layers.Dense(4)(joined)}
    keras.Model([a, b], outputs).export(root / "keras", verbose=False)
    return root


@pytest.fixture
def copy(models: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copy a model, for a test to damage."""
    return lambda name: Path(shutil.copytree(models / name, tmp_path / name))


def signature(path: Path, name: str = "serving_default") -> Signature:
    found = {each.name: each for each in reader.read_contract(path).signatures}
    return found[name]


def inputs(path: Path) -> dict[str, TensorSpec]:
    return {spec.name: spec for spec in signature(path).inputs}


@pytest.mark.parametrize("name", ["tf1", "words", "keras", "nested"])
def test_signatures_are_those_that_tensorflow_reads(models: Path, name: str) -> None:
    """Names, dtypes, shapes and methods are equal to what TensorFlow's own protos say."""
    message = saved_model_pb2.SavedModel.FromString((models / name / "saved_model.pb").read_bytes())
    theirs = {
        (key, side, info.name): (tf.as_dtype(info.dtype).name, tf.TensorShape(info.tensor_shape))
        for key, definition in message.meta_graphs[0].signature_def.items()
        if not key.startswith("__")
        for side, infos in (("in", definition.inputs), ("out", definition.outputs))
        for info in infos.values()
        if info.name
    }
    contract = reader.read_contract(models / name)
    ours = {
        (each.name, side, spec.tensors[0]): (
            {"half": "float16"}.get(spec.dtype.name, spec.dtype.name),
            tf.TensorShape(spec.shape),
        )
        for each in contract.signatures
        for side, specs in (("in", each.inputs), ("out", each.outputs))
        for spec in specs
        if spec.kind == "dense"
    }
    composite_parts = {
        (each.name, "in", tensor)
        for each in contract.signatures
        for spec in each.inputs
        if spec.parts
        for tensor in spec.tensors
    }
    left = {key: value for key, value in theirs.items() if key not in composite_parts}
    assert {key: (dtype, str(shape)) for key, (dtype, shape) in ours.items()} == {
        key: (dtype, str(shape)) for key, (dtype, shape) in left.items()
    }
    assert {each.method_name for each in contract.signatures} == {"tensorflow/serving/predict"}


def test_our_table_reads_what_tensorflow_reads(models: Path) -> None:
    """Every field of our description has the value that TensorFlow's generated code finds."""
    content = (models / "words" / "saved_model.pb").read_bytes()
    ours = json_format.MessageToDict(
        SavedModel.FromString(content), preserving_proto_field_name=True
    )
    theirs = json_format.MessageToDict(
        saved_model_pb2.SavedModel.FromString(content),
        preserving_proto_field_name=True,
        use_integers_for_enums=True,
    )

    def holds(whole: object, part: object) -> None:
        if isinstance(part, dict):
            for key, value in part.items():
                holds(whole[key], value)
        elif isinstance(part, list):
            for one, other in zip(whole, part, strict=True):
                holds(one, other)
        else:
            assert whole == part

    holds(theirs, ours)


def test_a_contract_says_what_a_folder_holds(models: Path) -> None:
    """Tags, version of TensorFlow, sizes, counts and assets are read."""
    contract = reader.read_contract(models / "tf1")
    path = models / "tf1"
    assert contract.path == str(path)
    assert contract.version is None
    assert contract.tags == ("serve",)
    assert contract.tag_sets == (("serve",), ("gpu", "serve"))
    assert contract.tensorflow_version == tf.__version__
    assert contract.graph_bytes == (path / "saved_model.pb").stat().st_size
    assert contract.variables_bytes == sum(f.stat().st_size for f in path.glob("variables/*"))
    assert contract.assets == ("vocabulary.txt",)
    assert contract.function_count == 0
    ops = dict(contract.careful_ops)
    assert ops["RandomUniform"] == "random: the same row can score differently"
    assert ops["HashTableV2"] == "lookup table"


def test_function_bodies_count_as_nodes(models: Path) -> None:
    """The number of nodes is that of the graph and of all function bodies."""
    message = saved_model_pb2.SavedModel.FromString(
        (models / "keras" / "saved_model.pb").read_bytes()
    )
    graph = message.meta_graphs[0].graph_def
    contract = reader.read_contract(models / "keras")
    bodies = [len(function.node_def) for function in graph.library.function]
    assert contract.node_count == len(graph.node) + sum(bodies)
    assert contract.function_count == len(bodies)


def test_sparse_and_ragged_inputs_are_whole_again(models: Path) -> None:
    """What TF2 flattened into plain tensors is one input, its tensors in the contract's order."""
    specs = inputs(models / "mixed")
    assert {name: spec.kind for name, spec in specs.items()} == {
        "x": "sparse",
        "d": "dense",
        "r": "ragged",
        "r2": "ragged",
    }
    assert specs["x"].parts == ("x", "x_1", "x_2")
    assert (specs["x"].dtype, specs["x"].shape) == (dtypes.FLOAT32, (None, 5))
    assert (specs["r"].dtype, specs["r"].shape) == (dtypes.INT64, (None, None))
    assert specs["r"].splits_dtype == dtypes.INT64
    assert specs["r2"].splits_dtype == dtypes.INT32
    assert len(specs["r2"].tensors) == 3


def test_the_order_of_composite_tensors_is_what_tensorflow_computes_with(models: Path) -> None:
    """Fed in the contract's order, a graph gives the result of the Python function."""
    x = tf.sparse.from_dense([[0.0, 2, 0, 0, 0], [1, 0, 0, 0, 3]])
    d = tf.constant([[1.0, 2], [3, 4]])
    r = tf.ragged.constant([[1, 2, 3], [4]], dtype=tf.int64)
    r2 = tf.ragged.constant([[[1.0, 5], [2]], [[7]]], dtype=tf.float32, row_splits_dtype=tf.int32)
    expected = Composites().mixed(x, d, r, r2)
    specs = inputs(models / "mixed")
    fed = dict(zip(specs["x"].tensors, (x.indices, x.values, x.dense_shape), strict=True))
    fed |= dict(zip(specs["r"].tensors, (r.flat_values, *r.nested_row_splits), strict=True))
    fed |= dict(zip(specs["r2"].tensors, (r2.flat_values, *r2.nested_row_splits), strict=True))
    fed[specs["d"].tensors[0]] = d
    outputs = {spec.name: spec for spec in signature(models / "mixed").outputs}
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.saved_model.load(session, ["serve"], str(models / "mixed"))
        found = session.run(
            {name: spec.tensors for name, spec in outputs.items()},
            {name: value.numpy() for name, value in fed.items()},
        )
    np.testing.assert_array_equal(found["total"][0], expected["total"].numpy())
    np.testing.assert_array_equal(found["ragged"][0], expected["ragged"].flat_values.numpy())
    np.testing.assert_array_equal(found["ragged"][1], expected["ragged"].row_splits.numpy())
    np.testing.assert_array_equal(found["sparse"][0], x.indices.numpy())
    np.testing.assert_array_equal(found["sparse"][2], [2, 5])
    assert (outputs["ragged"].kind, outputs["sparse"].kind) == ("ragged", "sparse")


def test_a_dict_of_composites_keeps_its_dense_inputs(models: Path) -> None:
    """Of a nested structure the dense leaves stay as they are, the others are put together."""
    specs = signature(models / "nested").inputs
    assert [(spec.name, spec.kind, spec.shape, spec.dtype.name) for spec in specs] == [
        ("features", "dense", (None,), "int32"),
        ("features_1", "sparse", (None, None), "string"),
        ("features_4", "dense", (), "float32"),
        ("features_5", "ragged", (None, None, 3), "float32"),
    ]


def test_inputs_whose_names_look_like_parts_are_told_apart(models: Path) -> None:
    """Which tensors belong together comes from the graph, not from the look of their names."""
    specs = inputs(models / "clash")
    assert specs["x"].parts == ("x", "x_1", "x_2")
    assert specs["x_1_1"].parts == ("x_1_1", "x_1_2", "x_1_3")


def test_a_sparse_placeholder_of_tf1_is_one_input(models: Path) -> None:
    """TF1 says coo_sparse itself: indices, values, dense shape."""
    spec = inputs(models / "tf1")["sp"]
    assert spec == TensorSpec(
        "sp", dtypes.FLOAT32, (None, 7), ("sp/indices:0", "sp/values:0", "sp/shape:0"), "sparse"
    )


def test_the_largest_version_is_used(copy: Callable[[str], Path]) -> None:
    """Of a base path the largest number is read, as a number, and neighbours are ignored."""
    base = copy("keras").parent
    for name in ("2", "10", "9"):
        shutil.copytree(base / "keras", base / name)
    (base / "notes").mkdir()
    (base / "99").write_text("a file is no version")
    shutil.rmtree(base / "keras")
    assert reader.read_contract(base).version == 10
    assert reader.read_contract(base).path == str(base / "10")
    assert reader.read_contract(base, version=9).version == 9
    with pytest.raises(ModelNotFoundError, match=r"has no version 7; it has 2, 9, 10"):
        reader.read(base, version=7)
    (base / "11").mkdir()
    with pytest.raises(ModelError, match=r'version folder ".*11" holds no saved_model.pb \(the la'):
        reader.read(base)


def test_a_version_of_a_plain_model_is_an_error(models: Path) -> None:
    """A version says nothing where the path is a SavedModel itself."""
    with pytest.raises(ModelError, match="is a model itself; leave version out"):
        reader.read(models / "keras", version=1)


def test_tags_choose_the_graph(models: Path) -> None:
    """By default it is the graph tagged just "serve"; others are chosen by their tags."""
    names = [each.name for each in reader.read_contract(models / "tf1").signatures]
    assert names == ["look_up", "serving_default"]
    other = reader.read_contract(models / "tf1", tags=["serve", "gpu"])
    assert [each.name for each in other.signatures] == ["other"]
    message = (
        r"has no graph with the tags \['serv'\]; it has \['serve'\], \['gpu', 'serve'\]; "
        r'did you mean "serve"\?'
    )
    with pytest.raises(ModelError, match=message):
        reader.read(models / "tf1", tags=["serv"])


def test_a_path_without_a_model_says_so(tmp_path: Path, models: Path) -> None:
    """Each way of being wrong about the path has its own sentence."""
    with pytest.raises(ModelNotFoundError, match=r'no SavedModel at ".*nowhere": no such folder'):
        reader.read(tmp_path / "nowhere")
    with pytest.raises(ModelNotFoundError, match=r"no saved_model\.pb, and no version folders"):
        reader.read(tmp_path)
    with pytest.raises(
        ModelNotFoundError, match=r'"[^"]*pb" is a file; give its folder, ".*keras"'
    ):
        reader.read(models / "keras" / "saved_model.pb")
    with pytest.raises(ModelError, match="is on hdfs://, which is read through a Spark session"):
        reader.read("hdfs:///models/ctr")
    (tmp_path / "saved_model.pbtxt").write_text("")
    with pytest.raises(ModelError, match="the text form, which is not supported"):
        reader.read(tmp_path)


def test_a_file_url_is_a_path(models: Path) -> None:
    """What Spark writes as ``file:`` is the local folder."""
    for prefix in ("file:", "file://"):
        assert reader.read_contract(f"{prefix}{models}/keras").path == str(models / "keras")


def test_a_damaged_graph_is_an_error(copy: Callable[[str], Path]) -> None:
    """An empty, cut or overwritten file is reported as such, never read as a smaller model."""
    path = copy("keras") / "saved_model.pb"
    content = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(ModelError, match=r'saved_model\.pb" is empty'):
        reader.read(path.parent)
    for damaged in (content[: len(content) // 2], content[:2], b"not a model", b"\xff" * 64):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match="is damaged or cut off; copy the model again"):
            reader.read(path.parent)


def test_missing_variables_are_an_error(copy: Callable[[str], Path]) -> None:
    """A copy without its variables, or without one of their files, is refused."""
    path = copy("keras")
    (path / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(ModelError, match=r"variables/variables.data-00000-of-00001 is missing"):
        reader.read(path)
    (path / "variables" / "variables.data-00000-of-00003").write_bytes(b"")
    with pytest.raises(ModelError, match=r"data-00001-of-00003 is missing, and 1 more"):
        reader.read(path)
    shutil.rmtree(path / "variables")
    with pytest.raises(ModelError, match=r"has variables, but there is no variables/variables.ind"):
        reader.read(path)


def test_a_missing_asset_is_an_error(copy: Callable[[str], Path]) -> None:
    """A copy without a vocabulary can't be run, and says which file it lacks."""
    path = copy("words")
    (path / "assets" / "vocabulary.txt").unlink()
    with pytest.raises(ModelError, match=r"not complete: assets/vocabulary.txt is missing"):
        reader.read(path)


def test_warmup_requests_are_counted(copy: Callable[[str], Path]) -> None:
    """Whole records count, up to a thousand; one that is cut off doesn't."""
    path = copy("keras")
    extra = path / "assets.extra"
    extra.mkdir()
    requests = extra / "tf_serving_warmup_requests"
    with tf.io.TFRecordWriter(str(requests)) as writer:
        for size in (3, 0, 70):
            writer.write(b"x" * size)
    assert reader.read_contract(path).warmup_requests == 3
    requests.write_bytes(requests.read_bytes()[:-1])
    assert reader.read_contract(path).warmup_requests == 2
    requests.write_bytes((struct.pack("<QI", 1, 0) + b"x" + b"\0" * 4) * 1200)
    assert reader.read_contract(path).warmup_requests == 1000


def test_the_digest_is_that_of_the_content(models: Path, copy: Callable[[str], Path]) -> None:
    """A copy has the same digest; one changed byte, or a renamed file, another."""
    path = copy("words")
    first = reader.digest(path)
    assert len(first) == 64
    assert reader.digest(models / "words") == first
    vocabulary = path / "assets" / "vocabulary.txt"
    vocabulary.write_text("film\ncook\n")
    second = reader.digest(path)
    vocabulary.rename(vocabulary.with_name("renamed.txt"))
    assert len({first, second, reader.digest(path)}) == 3


def test_any_tensor_of_the_graph_has_a_spec(models: Path) -> None:
    """Raw tensor names get dtype and shape from the graph, inside it too."""
    graph = reader.read(models / "tf1").meta_graph
    expected = {
        "x:0": (dtypes.FLOAT32, (None, 3)),
        "x": (dtypes.FLOAT32, (None, 3)),
        "keep_prob:0": (dtypes.FLOAT32, ()),
        "MatMul:0": (dtypes.FLOAT32, (None, 1)),
        "w:0": (dtypes.FLOAT32, (3, 1)),
        "dropout/Shape:0": (dtypes.INT32, (2,)),
        "dropout/GreaterEqual:0": (dtypes.BOOL, (None, 1)),
        "sp/indices:0": (dtypes.INT64, (None, 2)),
        "hash_table_Lookup/LookupTableFindV2:0": (dtypes.INT64, (None,)),
    }
    for name, (dtype, shape) in expected.items():
        spec = reader.tensor_spec(graph, name)
        assert spec is not None
        assert (spec.dtype, spec.shape, spec.kind) == (dtype, shape, "dense"), name
        assert spec.tensors == (name if ":" in name else name + ":0",)
    keras_graph = reader.read(models / "keras").meta_graph
    outputs = {spec.name: spec for spec in signature(models / "keras").outputs}
    spec = reader.tensor_spec(keras_graph, outputs["more"].tensors[0])
    assert spec is not None
    assert (spec.dtype, spec.shape) == (dtypes.FLOAT32, (None, 4))


def test_a_tensor_that_is_not_there_is_explained(models: Path) -> None:
    """A wrong name, a wrong output and a name inside a function each have their sentence."""
    graph = reader.read(models / "tf1").meta_graph
    for name in ("Matmul:0", "MatMul:1", "x:y"):
        assert reader.tensor_spec(graph, name) is None
    explain = reader.explain_missing
    assert explain(graph, "Matmul:0") == ('the graph has no node "Matmul"; did you mean MatMul:0?')
    assert explain(graph, "MatMul:1") == 'node "MatMul" has no output 1'
    assert explain(graph, "x:y") == '"x:y" is not the name of a tensor; write "node:0"'
    words = reader.read(models / "words").meta_graph
    inside = "None_Lookup/LookupTableFindV2"
    assert reader.tensor_spec(words, inside) is None
    assert explain(words, inside).startswith(
        f'"{inside}" is inside the function "__inference_look_up_'
    )


def test_variables_have_names_and_shapes(models: Path) -> None:
    """A message about an unfilled variable can say what it was."""
    assert reader.variables(reader.read(models / "tf1").meta_graph) == {"w": (3, 1)}
    shapes = reader.variables(reader.read(models / "keras").meta_graph).values()
    assert (9, 2) in shapes


def test_an_asset_outside_of_the_folder_is_refused(copy: Callable[[str], Path]) -> None:
    """A model can't name a file of the machine as its own asset."""
    path = copy("words")
    message = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    message.meta_graphs[0].asset_file_def[0].filename = "../../vocabulary.txt"
    (path / "saved_model.pb").write_bytes(message.SerializeToString())
    with pytest.raises(UnsafeModelError, match=r'asset "../../vocabulary.txt", which is outside'):
        reader.read(path)


def test_reading_needs_neither_tensorflow_nor_spark(models: Path) -> None:
    """In a fresh process a model is read without either being imported."""
    script = (
        "import sys; from tf2spark import savedmodel\n"
        "contract = reader.read_contract(sys.argv[1])\n"
        "print([each.name for each in contract.signatures])\n"
        "bad = {'tensorflow', 'keras', 'pyspark'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(models / "keras")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['serve', 'serving_default']\n"
