"""`SavedModel.compile`: a package scores as TensorFlow scores the original."""

from __future__ import annotations

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
from cases.comparing import assert_same
from cases.frames import frame
from cases.models import ALL, Case, case, expected_of, path_of
from cases.models.saving import save_function
from cases.tiny_models import save_graph_model
from tf2spark.compile import compiler
from tf2spark.compile.compiler import CompileOptions
from tf2spark.errors import ContractError, ModelError, OutputError, RowError
from tf2spark.package.manifest import Manifest

_ROWS = 23
# TensorFlow multiplies a sparse tensor with a constant in another order than with a variable.
_ROUNDED = {"keras_sparse_exported": 1e-5}


def package_of(model: tf2spark.SavedModel) -> Manifest:
    assert model.contract.package is not None
    return model.contract.package


def compiled(case: Case, path: Path) -> tf2spark.SavedModel:
    """Compile a case's model, and make sure that it was compiled and verified."""
    model = tf2spark.SavedModel(path_of(case))
    signature = case.kwargs.get("signature")
    package = model.compile(
        path, signature=signature, feed=case.feed, fetch=case.fetch, sample=case.table(5)
    )
    found = package_of(package)
    assert found.why_as_it_was is None
    assert found.verified is not None
    assert not any(one.path.startswith("variables/") for one in found.files)
    return package


def feed_left(case: Case, package: tf2spark.SavedModel) -> dict[str, Any]:
    """Return the feeds of what is an input still: constants and raw tensors are compiled in."""
    (signature,) = package.contract.signatures
    inputs = {one.name for one in signature.inputs}
    return {name: value for name, value in (case.feed or {}).items() if name in inputs}


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_a_package_scores_as_the_original(case: Case, tmp_path: Path) -> None:
    """Every model of the zoo compiles, and its package gives TensorFlow's own results."""
    package = compiled(case, tmp_path / "p")
    table = case.table(_ROWS)
    arguments = {name: value for name, value in case.kwargs.items() if name != "signature"}
    out = package.score(table, feed=feed_left(case, package), keep=[], **arguments)
    if case.name in _ROUNDED:
        for name, want in expected_of(case, table).items():
            got = np.array(out[name].to_pylist()).reshape(want.shape)
            np.testing.assert_allclose(got, want, rtol=_ROUNDED[case.name])
    else:
        assert_same(out, expected_of(case, table))


@pytest.mark.parametrize("name", ["keras_mlp", "keras_lookups", "keras_lstm"])
def test_a_package_scores_on_spark(spark: SparkSession, name: str, tmp_path: Path) -> None:
    """Workers score a package as they score a SavedModel."""
    one = case(name)
    package = compiled(one, tmp_path / "p")
    table = one.table(_ROWS)
    out = package.score(frame(spark, table), feed=feed_left(one, package), keep=[])
    assert_same(out.toArrow(), expected_of(one, table))


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with 1 MB of embedding and a small dense layer."""
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
    """Tensors over the threshold leave the graph, and the scores stay the same to the bit."""
    monkeypatch.setattr(
        compiler, "CompileOptions", lambda **given: CompileOptions(threshold_bytes=1 << 20, **given)
    )
    model = tf2spark.SavedModel(embedding)
    package = model.compile(tmp_path / "p")
    found = package_of(package)
    assert [one.shape for one in found.weights] == [(16384, 16)]
    assert package.contract.graph_bytes < 100_000
    assert package.contract.variables_bytes == 16384 * 16 * 4
    rows = pa.table({"ids": [[1, 2, 3, 16383], [0, 0, 5, 6]]})
    assert package.score(rows).equals(model.score(rows))
    assert "1 tensors, 1.0 MiB shared a host" in str(package.contract)


def test_constants_become_part_of_the_graph(tmp_path: Path) -> None:
    """An input that is fed a number is none any more."""
    save_graph_model(tmp_path / "model")
    model = tf2spark.SavedModel(tmp_path / "model")
    package = model.compile(tmp_path / "p", signature="kept", feed={"keep_prob": 0.5})
    (signature,) = package.contract.signatures
    assert [one.name for one in signature.inputs] == ["x"]
    out = package.score(pd.DataFrame({"x": [[2.0, 4.0]]}), keep=[])
    assert out["kept"][0].tolist() == [1.0, 2.0]
    assert "compiled in  keep_prob = 0.5" in str(package.contract)


def test_what_was_compiled_in_can_be_fed_the_same(tmp_path: Path) -> None:
    """The feed that compiled a constant in scores too; another value is refused."""
    save_graph_model(tmp_path / "model")
    model = tf2spark.SavedModel(tmp_path / "model")
    package = model.compile(tmp_path / "p", signature="kept", feed={"keep_prob": 0.5})
    rows = pd.DataFrame({"x": [[2.0, 4.0]]})
    assert package.score(rows, feed={"keep_prob": 0.5})["kept"][0].tolist() == [1.0, 2.0]
    for other in (0.25, "x"):
        with pytest.raises(ContractError, match=r'"keep_prob" is compiled into .* as 0\.5'):
            package.score(rows, feed={"keep_prob": other})


def test_raw_tensors_become_inputs_and_outputs(tmp_path: Path) -> None:
    """A tensor inside the graph is fed by a column's name, and fetched by a new one."""
    save_graph_model(tmp_path / "model")
    model = tf2spark.SavedModel(tmp_path / "model")
    package = model.compile(
        tmp_path / "p", feed={"layer/hidden:0": "h"}, fetch={"total": "score:0"}
    )
    (signature,) = package.contract.signatures
    assert {one.name for one in signature.inputs} >= {"h"}
    assert [one.name for one in signature.outputs] == ["total"]
    out = package.score(pd.DataFrame({"h": [[1.0, 2.0]]}), keep=[])
    assert out["total"].tolist() == [3.0]


def graph_of(saved_model: Path) -> Any:
    saved = saved_model_pb2.SavedModel.FromString(saved_model.read_bytes())
    return saved.meta_graphs[0].graph_def


def graph_of_package(folder: Path) -> Any:
    (file,) = (folder / "files").glob("*-saved_model.pb")
    return graph_of(file)


def test_a_model_with_loops_runs_the_graph_that_it_ran(tmp_path: Path) -> None:
    """No loop can be slower for compiling: functions, calls and variables are the original's."""
    one = case("keras_lstm")
    compiled(one, tmp_path / "p")
    graph, original = graph_of_package(tmp_path / "p"), graph_of(path_of(one) / "saved_model.pb")
    assert any(node.op == "While" for each in graph.library.function for node in each.node_def)
    before = {each.signature.name: each for each in original.library.function}
    for function in graph.library.function:
        assert function == before[function.signature.name]
    # The loader writes out attributes that are the default, so nodes are compared without them.
    nodes = [(node.name, node.op, list(node.input)) for node in original.node]
    added = [node for node in graph.node if (node.name, node.op, list(node.input)) not in nodes]
    assert {node.op for node in added} == {"AssignVariableOp", "Const", "NoOp"}
    assert all(node.name.startswith("tf2spark_") for node in added)


def test_a_model_with_loops_shares_its_large_tensors(tmp_path: Path) -> None:
    """An embedding and a lookup table before an LSTM: the one is mapped, the other is filled."""
    words = keras.Input((4,), dtype="string", name="words")
    ids = keras.layers.StringLookup(vocabulary=["a", "b", "c"])(words)
    vectors = keras.layers.Embedding(70_000, 64)(ids)
    network = keras.Model(words, keras.layers.Dense(1)(keras.layers.LSTM(3)(vectors)))
    network.export(str(tmp_path / "model"), verbose=False)
    model = tf2spark.SavedModel(tmp_path / "model")
    package = model.compile(tmp_path / "p")
    assert [one.shape for one in package_of(package).weights] == [(70_000, 64)]
    assert package.contract.graph_bytes < 300_000
    rows = pa.table({"words": [["a", "b", "c", "d"], ["c", "c", "", "a"]]})
    assert package.score(rows).equals(model.score(rows))


def test_a_loop_that_assigns_is_packed_as_it_is(tmp_path: Path) -> None:
    """A variable that a loop writes can't be filled once and for all."""

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
    found = package_of(tf2spark.SavedModel(tmp_path / "model").compile(tmp_path / "p"))
    assert found.why_as_it_was is not None
    assert "it assigns to a variable (AssignAddVariableOp" in found.why_as_it_was


def test_a_constant_for_every_row_is_left_to_score(tmp_path: Path) -> None:
    """A value that would have to be repeated a row can't be compiled in."""
    save_graph_model(tmp_path / "model")
    model = tf2spark.SavedModel(tmp_path / "model")
    with pytest.raises(ContractError, match='input "scale" has a value for every row'):
        model.compile(tmp_path / "p", feed={"scale": 2.0})
    assert not (tmp_path / "p").exists()


def test_a_model_that_assigns_is_packed_as_it_is(tmp_path: Path) -> None:
    """What can't be frozen stays a SavedModel, and the manifest says why."""
    model = tf2spark.SavedModel(path_of(case("counter")))
    package = model.compile(tmp_path / "p")
    found = package_of(package)
    assert found.why_as_it_was is not None
    assert "it assigns to a variable (AssignAddVariableOp" in found.why_as_it_was
    assert {one.path for one in found.files} >= {"saved_model.pb", "variables/variables.index"}
    first, second = (package.score(pa.table({"x": [1.0]}), keep=[])["y"][0].as_py() for _ in "ab")
    assert second == first + 1
    assert "no, it is packed as it was: it assigns" in str(package.contract)


def test_a_random_model_is_packed_as_it_is(tmp_path: Path) -> None:
    """Results that change from run to run can't be verified."""

    def call(x: Any) -> Any:
        return {"y": x + tf.random.uniform(tf.shape(x))}

    save_function(tmp_path / "model", call, tf.TensorSpec([None], tf.float32, "x"))
    package = tf2spark.SavedModel(tmp_path / "model").compile(tmp_path / "p")
    why = package_of(package).why_as_it_was
    assert why == 'its output "y" differs from run to run, so that nothing can be verified'


def test_variables_that_the_restore_op_leaves_are_filled(tmp_path: Path) -> None:
    """What only TensorFlow's object loader restores is compiled through that loader."""
    network = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1, name="top")])
    tf.saved_model.save(network, str(tmp_path / "model"))
    model = tf2spark.SavedModel(tmp_path / "model")
    rows = pa.table({"inputs": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32()))})
    with pytest.raises(ModelError, match="has no value"):
        model.score(rows)
    package = model.compile(tmp_path / "p")
    assert package_of(package).verified is not None
    wants = network.predict(np.array(rows["inputs"].to_pylist(), np.float32), verbose=0)[:, 0]
    (output,) = package.contract.signatures[0].outputs
    assert package.score(rows, keep=[])[output.name].to_pylist() == wants.tolist()


def test_warmup_requests_verify(tmp_path: Path) -> None:
    """The requests that the model brings are what both models are run on."""
    from tf2spark.compile.inputs import WARMUP_FILE, _message_classes

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
    found = package_of(tf2spark.SavedModel(tmp_path / "model").compile(tmp_path / "p"))
    assert found.verified is not None
    assert (found.verified.inputs, found.verified.rows) == ("warmup requests", 3)


def test_inputs_that_cant_be_made_are_said(tmp_path: Path) -> None:
    """A model that refuses every made input is compiled, and the manifest says so."""

    def call(x: Any) -> Any:
        return {"y": tf.cast(tf.map_fn(_first_pixel, x, fn_output_signature=tf.uint8), tf.int32)}

    save_function(tmp_path / "model", call, tf.TensorSpec([None], tf.string, "x"))
    found = package_of(tf2spark.SavedModel(tmp_path / "model").compile(tmp_path / "p"))
    assert found.verified is None
    assert found.not_verified is not None
    assert found.not_verified.startswith(
        "TensorFlow refuses inputs that are made from the contract"
    )
    assert "give rows with sample=" in found.not_verified


def _first_pixel(png: Any) -> Any:
    return tf.reshape(tf.io.decode_png(png), [-1])[0]


def test_examples_are_made_as_the_model_parses_them(tmp_path: Path) -> None:
    """A model of serialised Examples is verified on some that have all of its features."""
    model = tf2spark.SavedModel(path_of(case("tf_examples")))
    found = package_of(model.compile(tmp_path / "p"))
    assert found.verified is not None
    assert found.verified.inputs == "made from the contract"


def test_a_difference_beyond_the_tolerance_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiled model that computes something else is never written."""
    original = compiler.build

    def broken(*given: Any) -> Any:
        built = original(*given)
        path = given[3] / "saved_model.pb"
        content = path.read_bytes()
        assert np.float32(2.0).tobytes() in content
        path.write_bytes(content.replace(np.float32(2.0).tobytes(), np.float32(2.5).tobytes()))
        return built

    save_graph_model(tmp_path / "model")
    monkeypatch.setattr(compiler, "build", broken)
    model = tf2spark.SavedModel(tmp_path / "model")
    with pytest.raises(ModelError, match=r"of the compiled model is .* more than the tolerance"):
        model.compile(tmp_path / "p", signature="both")
    assert not (tmp_path / "p").exists()


def test_a_sample_that_doesnt_fit_is_named(tmp_path: Path) -> None:
    """The sample is bound as any table is; a row that can't be fed is named."""
    model = tf2spark.SavedModel(path_of(case("keras_mlp")))
    with pytest.raises(ContractError, match="has no column named as"):
        model.compile(tmp_path / "p", sample=pd.DataFrame({"other": [1.0]}))
    rows = pa.table({"features": [[1.0] * 8, None]})
    with pytest.raises(RowError, match="row 1 of the sample can't be scored"):
        model.compile(tmp_path / "p", sample=rows)
    with pytest.raises(ContractError, match="sample= has no rows"):
        model.compile(tmp_path / "p", sample=rows.slice(0, 0))


def test_a_package_is_not_compiled_again(tmp_path: Path) -> None:
    """Compiling a package says that it is one."""
    model = tf2spark.SavedModel(path_of(case("keras_mlp")))
    package = model.compile(tmp_path / "p")
    with pytest.raises(ModelError, match="is a package already"):
        package.compile(tmp_path / "q")
    with pytest.raises(OutputError, match="exists already"):
        model.compile(tmp_path / "p")


def test_a_version_folder_can_be_a_package(tmp_path: Path) -> None:
    """A base path of version folders holds packages as well as SavedModels."""
    model = tf2spark.SavedModel(path_of(case("keras_mlp")))
    model.compile(tmp_path / "ctr" / "7")
    opened = tf2spark.SavedModel(tmp_path / "ctr")
    assert opened.contract.version == 7
    assert opened.contract.package is not None


def test_the_same_model_has_the_same_digest(tmp_path: Path) -> None:
    """Compiling twice gives the same bytes."""
    model = tf2spark.SavedModel(path_of(case("keras_lookups")))
    packages = [package_of(model.compile(tmp_path / name)) for name in "ab"]
    assert packages[0].digest == packages[1].digest


@pytest.mark.parametrize("table", ["arrow", "pandas", "spark", "spark_dropmalformed"])
def test_every_row_can_say_which_model_scored_it(
    spark: SparkSession, table: str, tmp_path: Path
) -> None:
    """`model_column` has the package's digest in every row, whatever carries the batches."""
    one = case("keras_mlp")
    package = compiled(one, tmp_path / "p")
    rows: Any = one.table(_ROWS)
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
    """A name that is taken is refused, as for the error column."""
    model = tf2spark.SavedModel(path_of(case("keras_mlp")))
    table = case("keras_mlp").table(2)
    with pytest.raises(ContractError, match='the model column "output_0" has the name of output'):
        model.score(table, model_column="output_0")
    with pytest.raises(ContractError, match='the model column "x" has the name of the error col'):
        model.score(table, mode="permissive", error_column="x", model_column="x")
