"""`SavedModel.compile`: a package gives the scores that TensorFlow gives with the original."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf
from pyspark.sql import SparkSession
from tensorflow.core.protobuf import saved_model_pb2

import tf2spark
from cases.comparing import as_column, same_but_for_rounding
from cases.frames import frame
from cases.models import ALL, Case, case, expected_of, path_of
from cases.models.saving import save_function
from cases.tiny_models import save_graph_model
from tf2spark.compile import compiler
from tf2spark.compile.build import build
from tf2spark.compile.compiler import CompileOptions
from tf2spark.errors import ContractError, ModelError, OutputError, RowError
from tf2spark.package.manifest import Manifest

tf1 = tf.compat.v1

_ROWS = 23


def package_of(model: tf2spark.SavedModel) -> Manifest:
    assert model.contract.package is not None
    return model.contract.package


def compiled(case: Case, path: Path) -> tf2spark.SavedModel:
    """Compile a case's model, and check that it was compiled and verified."""
    model = tf2spark.SavedModel(path_of(case))
    signature = case.kwargs.get("signature")
    package = model.compile(
        path, signature=signature, feed=case.feed, fetch=case.fetch, sample=case.table(5)
    )
    manifest = package_of(package)
    assert manifest.why_as_it_was is None
    assert manifest.verified is not None
    assert not any(file.path.startswith("variables/") for file in manifest.files)
    return package


def remaining_feed(case: Case, package: tf2spark.SavedModel) -> dict[str, Any]:
    """Return the feed of the inputs that a package still has; constants are compiled in."""
    (signature,) = package.contract.signatures
    inputs = {spec.name for spec in signature.inputs}
    return {name: value for name, value in (case.feed or {}).items() if name in inputs}


@pytest.mark.slow
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_a_package_scores_like_the_original(case: Case, tmp_path: Path) -> None:
    """Every model of the zoo compiles, and its package gives TensorFlow's own results."""
    package = compiled(case, tmp_path / "p")
    table = case.table(_ROWS)
    arguments = {name: value for name, value in case.kwargs.items() if name != "signature"}
    out = package.score(table, feed=remaining_feed(case, package), keep=[], **arguments)
    # Another graph: TensorFlow fuses, folds and multiplies what became constant in other ways.
    for name, expected in expected_of(case, table).items():
        assert same_but_for_rounding(out[name].to_pylist(), as_column(expected))


@pytest.mark.parametrize("name", ["keras_mlp", "keras_lookups", "keras_lstm"])
def test_a_package_scores_on_spark(spark: SparkSession, name: str, tmp_path: Path) -> None:
    """Workers score a package like a SavedModel."""
    model_case = case(name)
    package = compiled(model_case, tmp_path / "p")
    table = model_case.table(_ROWS)
    out = package.score(frame(spark, table), feed=remaining_feed(model_case, package), keep=[])
    scored = out.toArrow()
    for output, expected in expected_of(model_case, table).items():
        assert same_but_for_rounding(scored[output].to_pylist(), as_column(expected))


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with an embedding of 1 MiB and a small dense layer."""
    path = tmp_path_factory.mktemp("embedding") / "model"
    ids = keras.Input((4,), dtype="int64", name="ids")
    vectors = keras.layers.Embedding(16384, 16)(ids)
    keras.Model(ids, keras.layers.Dense(1)(keras.layers.Flatten()(vectors))).export(
        str(path), verbose=False
    )
    return path


def test_large_tensors_are_mapped_from_files(
    embedding: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors over the threshold are moved out of the graph, and the scores stay the same."""
    monkeypatch.setattr(
        compiler,
        "CompileOptions",
        lambda **options: CompileOptions(threshold_bytes=1 << 20, **options),
    )
    model = tf2spark.SavedModel(embedding)
    package = model.compile(tmp_path / "p")
    manifest = package_of(package)
    assert [weight.shape for weight in manifest.weights] == [(16384, 16)]
    assert package.contract.graph_bytes < 100_000
    assert package.contract.variables_bytes == 16384 * 16 * 4
    rows = pa.table({"ids": [[1, 2, 3, 16383], [0, 0, 5, 6]]})
    assert same_but_for_rounding(package.score(rows).to_pylist(), model.score(rows).to_pylist())
    assert "1 tensor, 1.0 MiB, shared by all processes of a host" in str(package.contract)


def test_constants_become_part_of_the_graph(tmp_path: Path) -> None:
    """An input that is fed a number is no longer an input."""
    save_graph_model(tmp_path / "model")
    model = tf2spark.SavedModel(tmp_path / "model")
    package = model.compile(tmp_path / "p", signature="kept", feed={"keep_prob": 0.5})
    (signature,) = package.contract.signatures
    assert [spec.name for spec in signature.inputs] == ["x"]
    out = package.score(pd.DataFrame({"x": [[2.0, 4.0]]}), keep=[])
    assert out["kept"][0].tolist() == [1.0, 2.0]
    assert "compiled in  keep_prob = 0.5" in str(package.contract)


def test_a_compiled_constant_can_be_fed_the_same_value(tmp_path: Path) -> None:
    """The feed that the model was compiled with is accepted; another value is refused."""
    save_graph_model(tmp_path / "model")
    model = tf2spark.SavedModel(tmp_path / "model")
    package = model.compile(tmp_path / "p", signature="kept", feed={"keep_prob": 0.5})
    rows = pd.DataFrame({"x": [[2.0, 4.0]]})
    assert package.score(rows, feed={"keep_prob": 0.5})["kept"][0].tolist() == [1.0, 2.0]
    for other in (0.25, "x"):
        with pytest.raises(ContractError, match=r'"keep_prob" is compiled into .* as 0\.5'):
            package.score(rows, feed={"keep_prob": other})


def test_raw_tensors_become_inputs_and_outputs(tmp_path: Path) -> None:
    """A tensor inside the graph becomes an input named after its column, or a named output."""
    save_graph_model(tmp_path / "model")
    model = tf2spark.SavedModel(tmp_path / "model")
    package = model.compile(
        tmp_path / "p", feed={"layer/hidden:0": "h"}, fetch={"total": "score:0"}
    )
    (signature,) = package.contract.signatures
    assert {spec.name for spec in signature.inputs} >= {"h"}
    assert [spec.name for spec in signature.outputs] == ["total"]
    out = package.score(pd.DataFrame({"h": [[1.0, 2.0]]}), keep=[])
    assert out["total"].tolist() == [3.0]


def graph_of(saved_model: Path) -> Any:
    saved = saved_model_pb2.SavedModel.FromString(saved_model.read_bytes())
    return saved.meta_graphs[0].graph_def


def graph_of_package(folder: Path) -> Any:
    (file,) = (folder / "files").glob("*-saved_model.pb")
    return graph_of(file)


def test_a_model_with_loops_keeps_its_graph(tmp_path: Path) -> None:
    """Compiling can't make a loop slower: functions, calls and variables are the original's."""
    lstm = case("keras_lstm")
    compiled(lstm, tmp_path / "p")
    graph, original = graph_of_package(tmp_path / "p"), graph_of(path_of(lstm) / "saved_model.pb")
    bodies = [function.node_def for function in graph.library.function]
    assert any(node.op == "While" for body in bodies for node in body)
    before = {function.signature.name: function for function in original.library.function}
    for function in graph.library.function:
        assert function == before[function.signature.name]
    # The loader adds default attributes, so nodes are compared without attributes.
    nodes = [(node.name, node.op, list(node.input)) for node in original.node]
    added = [node for node in graph.node if (node.name, node.op, list(node.input)) not in nodes]
    assert {node.op for node in added} == {"AssignVariableOp", "Const", "NoOp"}
    assert all(node.name.startswith("tf2spark_") for node in added)


def test_a_model_with_loops_shares_its_large_tensors(tmp_path: Path) -> None:
    """Before an LSTM, a large embedding is mapped and a lookup table is filled."""
    words = keras.Input((4,), dtype="string", name="words")
    ids = keras.layers.StringLookup(vocabulary=["a", "b", "c"])(words)
    vectors = keras.layers.Embedding(70_000, 64)(ids)
    network = keras.Model(words, keras.layers.Dense(1)(keras.layers.LSTM(3)(vectors)))
    network.export(str(tmp_path / "model"), verbose=False)
    model = tf2spark.SavedModel(tmp_path / "model")
    package = model.compile(tmp_path / "p")
    assert [weight.shape for weight in package_of(package).weights] == [(70_000, 64)]
    assert package.contract.graph_bytes < 300_000
    rows = pa.table({"words": [["a", "b", "c", "d"], ["c", "c", "", "a"]]})
    assert same_but_for_rounding(package.score(rows).to_pylist(), model.score(rows).to_pylist())


def test_a_loop_that_assigns_is_packed_unchanged(tmp_path: Path) -> None:
    """A variable that a loop assigns to can't be filled in advance."""

    class Model(tf.Module):
        def __init__(self) -> None:
            self.seen = tf.Variable(0.0)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def __call__(self, x: Any) -> Any:
            for _ in tf.range(3):
                self.seen.assign_add(1.0)
            return {"y": x + self.seen}

    model = Model()
    tf.saved_model.save(model, str(tmp_path / "model"), signatures=model.__call__)
    manifest = package_of(tf2spark.SavedModel(tmp_path / "model").compile(tmp_path / "p"))
    assert manifest.why_as_it_was is not None
    assert "it assigns to a variable (AssignAddVariableOp" in manifest.why_as_it_was


def test_a_constant_for_every_row_is_refused(tmp_path: Path) -> None:
    """A value that would have to be repeated for each row can't be compiled in."""
    save_graph_model(tmp_path / "model")
    model = tf2spark.SavedModel(tmp_path / "model")
    with pytest.raises(ContractError, match='input "scale" has one value per row'):
        model.compile(tmp_path / "p", feed={"scale": 2.0})
    assert not (tmp_path / "p").exists()


def test_a_model_that_assigns_is_packed_unchanged(tmp_path: Path) -> None:
    """A model that can't be frozen is packaged unchanged, and the manifest says why."""
    model = tf2spark.SavedModel(path_of(case("counter")))
    package = model.compile(tmp_path / "p")
    manifest = package_of(package)
    assert manifest.why_as_it_was is not None
    assert "it assigns to a variable (AssignAddVariableOp" in manifest.why_as_it_was
    assert {file.path for file in manifest.files} >= {"saved_model.pb", "variables/variables.index"}
    first, second = (package.score(pa.table({"x": [1.0]}), keep=[])["y"][0].as_py() for _ in "ab")
    assert second == first + 1
    assert "no, packaged unchanged: it assigns" in str(package.contract)


def test_a_random_model_is_packed_unchanged(tmp_path: Path) -> None:
    """Outputs that change from run to run can't be verified."""

    def call(x: Any) -> Any:
        return {"y": x + tf.random.uniform(tf.shape(x))}

    save_function(tmp_path / "model", call, tf.TensorSpec([None], tf.float32, "x"))
    package = tf2spark.SavedModel(tmp_path / "model").compile(tmp_path / "p")
    why = package_of(package).why_as_it_was
    assert why == 'its output "y" changes from run to run, so nothing can be verified'


def test_variables_that_the_restore_op_leaves_are_filled(tmp_path: Path) -> None:
    """Variables that only TensorFlow's object loader restores are compiled too."""
    network = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1, name="top")])
    tf.saved_model.save(network, str(tmp_path / "model"))
    model = tf2spark.SavedModel(tmp_path / "model")
    rows = pa.table({"inputs": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32()))})
    with pytest.raises(ModelError, match="have no value"):
        model.score(rows)
    package = model.compile(tmp_path / "p")
    assert package_of(package).verified is not None
    expected = network.predict(np.array(rows["inputs"].to_pylist(), np.float32), verbose=0)[:, 0]
    (output,) = package.contract.signatures[0].outputs
    scores = package.score(rows, keep=[])[output.name].to_pylist()
    assert same_but_for_rounding(scores, expected.tolist())


def test_warmup_requests_are_used_to_verify(tmp_path: Path) -> None:
    """Both models are run on the warmup requests of the original."""
    from tf2spark.compile.verification.inputs import WARMUP_FILE, _message_classes

    def call(x: Any) -> Any:
        return {"y": x * 2.0}

    save_function(tmp_path / "model", call, tf.TensorSpec([None], tf.float32, "x"))
    file = tmp_path / "model" / WARMUP_FILE
    file.parent.mkdir()
    log = _message_classes()["PredictionLog"]()
    entry = log.predict_log.request.inputs.add(key="x")
    entry.value = tf.make_tensor_proto([1.0, 2.0, 3.0]).SerializeToString()
    with tf.io.TFRecordWriter(str(file)) as writer:
        writer.write(log.SerializeToString())
    verified = package_of(tf2spark.SavedModel(tmp_path / "model").compile(tmp_path / "p")).verified
    assert verified is not None
    assert (verified.inputs, verified.rows) == ("warmup requests", 3)


@pytest.mark.parametrize("damage", ["no file of records", "records of nonsense", "truncated"])
def test_damaged_warmup_requests_are_passed_over(tmp_path: Path, damage: str) -> None:
    """Requests that can be read are used; if there are none, inputs are generated."""
    from tf2spark.compile.verification.inputs import WARMUP_FILE, _message_classes

    def call(x: Any) -> Any:
        return {"y": x * 2.0}

    save_function(tmp_path / "model", call, tf.TensorSpec([None], tf.float32, "x"))
    file = tmp_path / "model" / WARMUP_FILE
    file.parent.mkdir()
    log, huge = (_message_classes()["PredictionLog"]() for _ in range(2))
    good = tf.make_tensor_proto([1.0])
    log.predict_log.request.inputs.add(key="x").value = good.SerializeToString()
    repeated = tf.make_tensor_proto(1.0)
    repeated.tensor_shape.dim.add(size=1 << 50)  # one value, repeated
    huge.predict_log.request.inputs.add(key="x").value = repeated.SerializeToString()
    with tf.io.TFRecordWriter(str(file)) as writer:
        for record in (b"", b"\xff\xff", huge.SerializeToString(), log.SerializeToString()):
            writer.write(record)
    if damage == "no file of records":
        file.write_bytes(b"\xff" * 100)
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:-1])
    verified = package_of(tf2spark.SavedModel(tmp_path / "model").compile(tmp_path / "p")).verified
    assert verified is not None
    is_used = damage == "records of nonsense"
    expected = "warmup requests" if is_used else "generated from the contract"
    assert verified.inputs == expected


def test_a_model_that_cannot_be_verified_says_so(tmp_path: Path) -> None:
    """A model that refuses all generated inputs is compiled, and the manifest says so."""

    def call(x: Any) -> Any:
        return {"y": tf.map_fn(_first_sample, x, fn_output_signature=tf.float32)}

    save_function(tmp_path / "model", call, tf.TensorSpec([None], tf.string, "x"))
    manifest = package_of(tf2spark.SavedModel(tmp_path / "model").compile(tmp_path / "p"))
    assert manifest.verified is None
    assert manifest.not_verified is not None
    assert manifest.not_verified.startswith("TensorFlow refuses inputs generated from the contract")
    assert "pass rows with sample=" in manifest.not_verified


def _without_a_kernel(x: Any) -> Any:
    """Pass a batch on to an op that only a GPU has."""
    state = tf.zeros([1, tf.shape(x)[0], 1])
    rows = tf.reshape(x, [1, -1, 1])
    run = {"rnn_mode": "lstm", "is_training": False, "params": tf.zeros([16])}
    return tf.raw_ops.CudnnRNNV2(input=rows, input_h=state, input_c=state, **run).output[0, :, 0]


@pytest.mark.parametrize("in_a_loop", [False, True])
def test_a_model_that_cannot_run_here_says_so(tmp_path: Path, in_a_loop: bool) -> None:
    """A kernel that is missing is the model's fault in every mode, and no sample would help."""

    def call(x: Any) -> Any:
        if not in_a_loop:
            return {"y": _without_a_kernel(x)}
        step = lambda i, y: (i + 1, tf.ensure_shape(_without_a_kernel(y), [None]))  # noqa: E731
        return {"y": tf.while_loop(lambda i, y: i < 2, step, [0, x])[1]}

    save_function(tmp_path / "model", call, tf.TensorSpec([None], tf.float32, "x"))
    model = tf2spark.SavedModel(tmp_path / "model")
    fault = "the model can't run here: this TensorFlow has no kernel on CPU for its op CudnnRNNV2"
    rows = pd.DataFrame({"x": np.zeros(20_000, np.float32)})
    for mode in ("failfast", "permissive", "dropmalformed"):
        with pytest.raises(ModelError, match=fault):
            model.score(rows, mode=mode)
    not_verified = package_of(model.compile(tmp_path / "p")).not_verified
    assert not_verified is not None
    assert not_verified.startswith(fault)
    assert "sample=" not in not_verified
    with pytest.raises(ModelError, match=fault):
        model.compile(tmp_path / "q", sample=rows[:2])


def _parameter_server(path: Path) -> None:
    """Write a model whose op is assigned to a device of a cluster."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None], "x")
        with tf1.device("/job:ps/task:0/cpu:0"):
            y = x * 2
        signature = tf1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder = tf1.saved_model.Builder(str(path))  # unlike simple_save, it keeps devices
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


def test_a_package_has_no_devices(tmp_path: Path) -> None:
    """A model of a cluster's devices is told to be compiled, which is enough."""
    _parameter_server(tmp_path / "model")
    model, rows = tf2spark.SavedModel(tmp_path / "model"), pd.DataFrame({"x": [1.0, 2.0]})
    with pytest.raises(ModelError, match=r'node "mul" is assigned to /job:ps.*; compile the model'):
        model.score(rows)
    assert model.compile(tmp_path / "p").score(rows)["y"].tolist() == [2.0, 4.0]


def test_damaged_variables_are_named_by_the_user_s_path(tmp_path: Path) -> None:
    """Not by the cache's, where copies of the files lie; and with TensorFlow's reason."""
    weight, path = tf.Variable(tf.ones([1000])), tmp_path / "model"
    spec = tf.TensorSpec([None], tf.float32, "x")
    save_function(path, lambda x: {"y": x * weight[0]}, spec, keep={"weight": weight})
    (data,) = (path / "variables").glob("*.data*")
    data.write_bytes(data.read_bytes()[:100])
    model = tf2spark.SavedModel(path)
    for call in (
        lambda: model.score(pd.DataFrame({"x": [1.0]})),
        lambda: model.compile(path / "p"),
    ):
        with pytest.raises(ModelError, match=r"can't load .*: Read less bytes") as error:
            call()
        assert str(path) in str(error.value).partition("Read less")[0]


def _first_sample(wav: Any) -> Any:
    return tf.audio.decode_wav(wav)[0][0, 0]


_IMAGES: dict[str, Callable[[Any], Any]] = {
    "jpeg": tf.io.decode_jpeg,
    "cropped jpeg": lambda file: tf.io.decode_and_crop_jpeg(file, [4, 4, 224, 224]),
    "any format": lambda file: tf.io.decode_image(file, channels=3, expand_animations=False),
    "png of 16 bits": lambda file: tf.io.decode_png(file, dtype=tf.uint16),
    "base64": lambda text: tf.io.decode_jpeg(tf.io.decode_base64(text)),
    "feature": lambda message: tf.io.decode_jpeg(
        tf.io.parse_single_example(message, {"image": tf.io.FixedLenFeature([], tf.string)})[
            "image"
        ]
    ),
    "step": lambda message: tf.io.decode_jpeg(
        tf.io.parse_single_sequence_example(
            message, sequence_features={"images": tf.io.FixedLenSequenceFeature([], tf.string)}
        )[1]["images"][1]
    ),
}


@pytest.mark.parametrize("decode", _IMAGES.values(), ids=_IMAGES)
def test_models_that_decode_images_are_verified_on_some(
    decode: Callable[[Any], Any], tmp_path: Path
) -> None:
    """Images are generated in the form in which the graph reads them."""

    def mean(file: Any) -> Any:
        return tf.reduce_mean(tf.cast(decode(file), tf.float32))

    def call(x: Any) -> Any:
        return {"y": tf.map_fn(mean, x, fn_output_signature=tf.float32)}

    save_function(tmp_path / "model", call, tf.TensorSpec([None], tf.string, "x"))
    verified = package_of(tf2spark.SavedModel(tmp_path / "model").compile(tmp_path / "p")).verified
    assert verified is not None
    assert verified.inputs == "generated from the contract"


def _save_image_model(path: Path) -> None:
    """Save a model that decodes JPEG files in a loop, then normalizes a convolution's output."""

    class Model(tf.Module):
        def __init__(self) -> None:
            random = np.random.default_rng(1)
            self.kernel = tf.Variable(random.normal(size=(3, 3, 3, 4)).astype(np.float32))
            self.scale = tf.Variable(random.uniform(0.5, 1.5, 4).astype(np.float32))
            self.mean = tf.Variable(random.normal(size=4).astype(np.float32))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image")])
        def __call__(self, image: Any) -> Any:
            pixels = tf.map_fn(_decoded, image, fn_output_signature=tf.float32)
            convolved = tf.nn.conv2d(
                tf.ensure_shape(pixels, (None, 16, 16, 3)), self.kernel, 1, "SAME"
            )
            normalized = (convolved - self.mean) * self.scale
            return {"y": tf.reduce_mean(tf.nn.relu(normalized), [1, 2, 3])}

    model = Model()
    tf.saved_model.save(model, str(path), signatures=model.__call__)


def _decoded(file: Any) -> Any:
    return tf.image.resize(tf.io.decode_jpeg(file, channels=3), (16, 16)) / 255.0


def _jpegs(rows: int) -> list[bytes]:
    pixels = np.random.default_rng(2).integers(0, 256, (rows, 16, 16, 3), np.uint8)
    return [tf.io.encode_jpeg(image).numpy() for image in pixels]


def test_a_loop_without_variables_lets_the_rest_be_folded(tmp_path: Path) -> None:
    """Decoding images row by row doesn't keep a network's normalization out of its filters."""
    _save_image_model(tmp_path / "model")
    model = tf2spark.SavedModel(tmp_path / "model")
    package = model.compile(tmp_path / "p")
    assert package_of(package).verified is not None
    graph = graph_of_package(tmp_path / "p")
    ops = [node.op for node in graph.node]
    assert "StatelessWhile" in ops
    assert ops.count("BiasAdd") == 1
    assert not {"VarHandleOp", "ReadVariableOp", "Mul", "Sub"} & set(ops)
    rows = pa.table({"image": _jpegs(5)})
    assert same_but_for_rounding(package.score(rows).to_pylist(), model.score(rows).to_pylist())


def test_scales_are_not_folded_beyond_the_tolerance(tmp_path: Path) -> None:
    """Where rounding in another order differs too much, the model is built without."""
    _save_image_model(tmp_path / "model")
    model = tf2spark.SavedModel(tmp_path / "model")
    verified = package_of(model.compile(tmp_path / "p", tolerance=0.0)).verified
    assert verified is not None
    assert dict(verified.differences) == {"y": 0.0}
    assert "Mul" in [node.op for node in graph_of_package(tmp_path / "p").node]


def test_examples_have_the_features_that_the_model_parses(tmp_path: Path) -> None:
    """A model that parses serialized Examples is verified on some with all its features."""
    model = tf2spark.SavedModel(path_of(case("tf_examples")))
    verified = package_of(model.compile(tmp_path / "p")).verified
    assert verified is not None
    assert verified.inputs == "generated from the contract"


def test_a_package_takes_columns_as_serialized_examples(tmp_path: Path) -> None:
    """It parses the same features, and scores like the model with the same feed."""
    model = tf2spark.SavedModel(path_of(case("tf_examples")))
    feed = {"examples": tf2spark.example("x", "tags", name="label")}
    rows = pa.table({"x": [[0.5, 1.0, 2.0], [1.0, -1.0, 0.0]], "tags": [[3, 4], None],
                     "label": ["a", "b"]})  # fmt: skip
    package = model.compile(tmp_path / "p", feed=feed, sample=rows)
    (original,), (compiled_spec,) = (
        each.contract.signatures[0].inputs for each in (model, package)
    )
    assert original.example is not None
    assert compiled_spec.example == original.example
    scores = [each.score(rows, feed=feed, keep=[]).to_pydict() for each in (model, package)]
    assert scores[0]["name"] == scores[1]["name"] == ["a", "b"]
    assert same_but_for_rounding(scores[1]["score"], scores[0]["score"])


def test_a_difference_beyond_the_tolerance_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiled model that computes something else is not written."""

    def build_wrongly(*arguments: Any, **options: Any) -> Any:
        built = build(*arguments, **options)
        path = arguments[3] / "saved_model.pb"
        content = path.read_bytes()
        assert np.float32(2.0).tobytes() in content
        path.write_bytes(content.replace(np.float32(2.0).tobytes(), np.float32(2.5).tobytes()))
        return built

    save_graph_model(tmp_path / "model")
    monkeypatch.setattr(compiler, "build", build_wrongly)
    model = tf2spark.SavedModel(tmp_path / "model")
    with pytest.raises(ModelError, match=r"of the compiled model is .* by more than the tolerance"):
        model.compile(tmp_path / "p", signature="both")
    assert not (tmp_path / "p").exists()


def test_a_sample_must_fit_the_model(tmp_path: Path) -> None:
    """The sample is bound like any table; a row that can't be fed is named."""
    model = tf2spark.SavedModel(path_of(case("keras_mlp")))
    with pytest.raises(ContractError, match="has no column for input"):
        model.compile(tmp_path / "p", sample=pd.DataFrame({"other": [1.0]}))
    rows = pa.table({"features": [[1.0] * 8, None]})
    with pytest.raises(RowError, match="row 1 of the sample can't be scored"):
        model.compile(tmp_path / "p", sample=rows)
    with pytest.raises(ContractError, match="sample= has no rows"):
        model.compile(tmp_path / "p", sample=rows.slice(0, 0))


def test_a_package_is_not_compiled_again(tmp_path: Path) -> None:
    """Compiling a package is refused, and so is writing over one."""
    model = tf2spark.SavedModel(path_of(case("keras_mlp")))
    package = model.compile(tmp_path / "p")
    with pytest.raises(ModelError, match="is a package already"):
        package.compile(tmp_path / "q")
    with pytest.raises(OutputError, match="already exists"):
        model.compile(tmp_path / "p")


def test_a_version_folder_can_be_a_package(tmp_path: Path) -> None:
    """A version folder can contain a package instead of a SavedModel."""
    model = tf2spark.SavedModel(path_of(case("keras_mlp")))
    model.compile(tmp_path / "ctr" / "7")
    opened = tf2spark.SavedModel(tmp_path / "ctr")
    assert opened.contract.version == 7
    assert opened.contract.package is not None


def test_a_package_knows_how_large_a_row_gets(tmp_path: Path) -> None:
    """Its graph has the shapes of its nodes, from which `score` chooses the rows of a run."""
    save_function(
        tmp_path / "model",
        lambda x: {"y": tf.reduce_sum(tf.nn.relu(x @ tf.ones([3, 5000])), 1)},
        tf.TensorSpec([None, 3], tf.float32, "x"),
    )
    tf2spark.SavedModel(tmp_path / "model").compile(tmp_path / "package")
    for name in ("model", "package"):
        runnable = tf2spark.SavedModel(tmp_path / name)._runnable
        reference = runnable.reference_for(runnable.request(None, None, None))
        assert reference.row_bytes == 5000 * 4


def test_the_same_model_has_the_same_digest(tmp_path: Path) -> None:
    """Compiling a model twice gives the same bytes."""
    model = tf2spark.SavedModel(path_of(case("keras_lookups")))
    packages = [package_of(model.compile(tmp_path / name)) for name in "ab"]
    assert packages[0].digest == packages[1].digest


@pytest.mark.parametrize("table", ["arrow", "pandas", "spark", "spark_dropmalformed"])
def test_every_row_can_name_the_model_that_scored_it(
    spark: SparkSession, table: str, tmp_path: Path
) -> None:
    """`model_column` has the package's digest in every row, for every kind of table."""
    mlp = case("keras_mlp")
    package = compiled(mlp, tmp_path / "p")
    rows: Any = mlp.table(_ROWS)
    arguments: dict[str, Any] = {"keep": [], "model_column": "model"}
    if table.startswith("spark"):
        rows = frame(spark, rows)
        arguments |= {"mode": "dropmalformed"} if "dropmalformed" in table else {}
        out = package.score(rows, **arguments).toArrow()
    elif table == "pandas":
        out = pa.Table.from_pandas(package.score(rows.to_pandas(), **arguments))
    else:
        out = package.score(rows, **arguments)
    assert set(out["model"].to_pylist()) == {package_of(package).digest}


def test_the_model_column_needs_a_name_of_its_own() -> None:
    """A name that another column has is refused, as for the error column."""
    model = tf2spark.SavedModel(path_of(case("keras_mlp")))
    table = case("keras_mlp").table(2)
    with pytest.raises(
        ContractError, match='the model column "output_0" has the same name as output'
    ):
        model.score(table, model_column="output_0")
    with pytest.raises(
        ContractError, match='the model column "x" has the same name as the error col'
    ):
        model.score(table, mode="permissive", error_column="x", model_column="x")
