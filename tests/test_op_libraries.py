"""Models with custom ops, through everything that users call: on pandas, on Spark, compiled."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attrs import evolve, frozen
from pyspark.sql import SparkSession

import tf2spark
from cases.models.custom_ops import (
    FOREST_ROWS,
    TEXTS,
    TOKENS,
    WORDS,
    text_library,
    write_forest,
    write_pair_model,
    write_text_model,
    write_text_model_with_a_file,
    write_word_model,
)
from cases.models.running import path_of
from tf2spark.cli.main import run as run_here
from tf2spark.errors import ContractError, ModelError, SetupError, UnsafeModelError
from tf2spark.runnable.model import RunnableModel
from tf2spark.worker.model_session import session_of

ROWS = pd.DataFrame({"id": range(len(TEXTS)), "text": TEXTS})


@frozen
class Written:
    """A model that `path_of` writes once per process."""

    make: Any


TEXT, WORD, PAIR, FOREST = map(
    Written, (write_text_model, write_word_model, write_pair_model, write_forest)
)
WRITER = Written(write_text_model_with_a_file)


def text_model(**options: Any) -> tf2spark.SavedModel:
    return tf2spark.SavedModel(path_of(TEXT), op_libraries=["tensorflow_text"], **options)


@pytest.fixture
def own_library(tmp_path: Path) -> Path:
    """Return a library at a path of the user's own."""
    path = tmp_path / "our_ops.so"
    path.write_bytes(text_library().read_bytes())
    return path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process that has loaded nothing."""
    return subprocess.run(
        [sys.executable, "-m", "tf2spark", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


class TestInProcess:
    def test_a_module_is_enough(self) -> None:
        """The ops of a named module need nothing else."""
        scored = text_model().score(ROWS)
        assert scored["words"].tolist() == WORDS
        assert [list(tokens) for tokens in scored["tokens"]] == TOKENS

    def test_a_file_is_enough(self, own_library: Path) -> None:
        """A library can be named by its path, as text and as a Path."""
        for name in (own_library, str(own_library)):
            model = tf2spark.SavedModel(path_of(WORD), op_libraries=[name])
            assert model.score(ROWS)["words"].tolist() == WORDS

    def test_permissive_isolates_rows(self) -> None:
        """A null is the only row without a result."""
        rows = pd.DataFrame({"text": ["good films", None, "bad"]})
        scored = text_model().score(rows, fetch=["words"], mode="permissive")
        assert scored["words"].isna().tolist() == [False, True, False]
        assert "null" in scored["_error"][1]

    def test_a_pickled_reference_has_its_libraries(self, own_library: Path) -> None:
        """What travels to workers by pickle opens the model with the libraries that were named."""
        model = RunnableModel(str(path_of(WORD)), op_libraries=[own_library])
        reference = pickle.loads(pickle.dumps(model.reference()))
        assert reference == model.reference()
        assert reference.custom_ops == ("TFText>WhitespaceTokenizeWithOffsetsV2",)
        (library,) = reference.op_libraries
        assert library.path == str(own_library.resolve())
        session_of(evolve(reference, threads=2)).prepare([], ["serving_default_text:0"])

    def test_it_is_compiled_and_packaged(self, tmp_path: Path) -> None:
        """A package has the ops in its graph and says which library it needs, but loads none."""
        package = text_model().compile(tmp_path / "p")
        assert package.contract.package is not None
        assert package.contract.package.why_as_it_was is None
        assert package.contract.package.op_libraries == ("tensorflow_text",)
        assert package.score(ROWS)["words"].tolist() == WORDS
        with pytest.raises(UnsafeModelError, match=r'op_libraries=\["tensorflow_text"\]'):
            tf2spark.SavedModel(tmp_path / "p").score(ROWS)

    def test_a_package_names_its_file(self, tmp_path: Path, own_library: Path) -> None:
        """A package that was made with a file has the file's name, as others lack the path."""
        model = tf2spark.SavedModel(path_of(WORD), op_libraries=[own_library])
        assert model.compile(tmp_path / "p").score(ROWS)["words"].tolist() == WORDS
        with pytest.raises(UnsafeModelError, match=r'op_libraries=\["our_ops\.so"\]'):
            tf2spark.SavedModel(tmp_path / "p").score(ROWS)

    def test_a_decision_forest_scores_and_is_packaged(self, tmp_path: Path) -> None:
        """A model whose init op loads a forest scores as ydf itself does, and isn't compiled."""
        path = path_of(FOREST)
        expected = np.load(path.with_suffix(".npy"))
        model = tf2spark.SavedModel(path, op_libraries=["ydf"])
        rows = pa.table(FOREST_ROWS)
        np.testing.assert_allclose(model.score(rows)["output"].to_numpy(), expected, rtol=1e-6)
        package = model.compile(tmp_path / "p")
        np.testing.assert_allclose(package.score(rows)["output"].to_numpy(), expected, rtol=1e-6)
        why = package.contract.package.why_as_it_was if package.contract.package else None
        assert why is not None
        assert "custom op (SimpleMLLoadModelFromPathWithHandle" in why

    def test_recommend_splits_it_or_runs_it_whole(self) -> None:
        """Queries meet titles with an op that `recommend` has no rule for."""
        model = tf2spark.SavedModel(path_of(PAIR), op_libraries=["tensorflow_text"])
        users = pd.DataFrame({"user_id": [1, 2], "query": ["one", "two words"]})
        titles = ["a", "b c", "d e f"]
        items = pd.DataFrame({"item_id": [10, 20, 30], "title": titles})
        best = model.recommend(users, items, 2)["recommendations"]
        assert [[pair["item_id"] for pair in pairs] for pairs in best] == [[30, 20], [30, 20]]
        assert [pair["score"] for pair in best[1]] == [1.0 + 3 * 3.0, 1.0 + 2 * 3.0]

    def test_raw_tensors_are_looked_up_in_its_graph(self) -> None:
        """Shape inference over the graph needs the ops as well."""
        model = text_model()
        tensor = model.contract.signatures[0].outputs[1].tensors[0]
        fetched = model.score(ROWS, fetch={"n": tf2spark.output(tensor, rank=1)}, keep=[])
        assert fetched["n"].tolist() == WORDS


class TestRefusals:
    def test_it_is_refused_without_its_library(self) -> None:
        """The refusal names the op, the package that has it, and what to write."""
        text_model().score(ROWS)  # the ops are registered in this process, and still refused
        with pytest.raises(UnsafeModelError) as raised:
            tf2spark.SavedModel(path_of(TEXT)).score(ROWS)
        message = str(raised.value)
        assert 'FastWordpieceTokenizeWithOffsets "' in message
        assert ": custom op of tensorflow-text" in message
        assert message.endswith('code then runs: op_libraries=["tensorflow_text"]')
        on_command_line = raised.value.text_for("command_line")
        assert on_command_line.endswith("code then runs: --op-library tensorflow_text")

    def test_another_library_does_not_allow_its_ops(self) -> None:
        """What counts is which ops a named library registers, not that one is named."""
        model = tf2spark.SavedModel(path_of(TEXT), op_libraries=["ydf_tf"])
        with pytest.raises(
            ModelError, match=r'ops? "FastWordpiece.*which ydf_tf doesn\'t register'
        ):
            model.score(ROWS)

    @pytest.mark.parametrize("call", ["score", "compile", "recommend", "open"])
    def test_a_library_does_not_allow_refused_ops(self, tmp_path: Path, call: str) -> None:
        """A model of a named library can't write files, whatever is done with it."""
        target = tmp_path / "written"
        rows = pd.DataFrame({"id": [1], "text": [str(target)]})
        model = tf2spark.SavedModel(path_of(WRITER), op_libraries=["tensorflow_text"])
        calls: dict[str, Any] = {
            "score": lambda: model.score(rows, fetch=["lengths"]),
            "compile": lambda: model.compile(tmp_path / "package"),
            "recommend": lambda: model.recommend(
                rows[["id"]], rows, 1, user_id="id", item_id="id", score="lengths"
            ),
            "open": lambda: model.udf(),
        }
        with pytest.raises(UnsafeModelError, match='WriteFile "') as raised:
            calls[call]()
        assert "TFText" not in str(raised.value)
        assert not target.exists()

    def test_a_missing_module_says_what_to_install(self) -> None:
        """In this process a library is needed here."""
        model = tf2spark.SavedModel(path_of(TEXT), op_libraries=["tensorflow_nothing"])
        with pytest.raises(SetupError, match=r"tensorflow_nothing is not installed.*pip install"):
            model.score(ROWS)

    @pytest.mark.parametrize(
        ("libraries", "message"),
        [
            ("tensorflow_text", r'takes a list, and got .*; op_libraries=\["tensorflow_text"\]$'),
            (["tensorflow-text"], r'not the name of a .*: op_libraries=\["tensorflow_text"\]$'),
            ([""], "is not the name of a Python module"),
            ([os], r'not by module; op_libraries=\["os"\]$'),
            (["tensorflow"], "tensorflow is TensorFlow itself.*leave it out of op_libraries$"),
            (["tensorflow.python"], "is TensorFlow itself"),
            (["/lib/libtensorflow_framework.so.2"], "is TensorFlow itself"),
        ],
    )
    def test_what_is_no_library_is_an_error(self, libraries: Any, message: str) -> None:
        """The usual mistakes each say what to write."""
        with pytest.raises(ContractError, match=message):
            tf2spark.SavedModel(path_of(WORD), op_libraries=libraries)

    def test_no_libraries_are_none(self) -> None:
        """None is what an optional argument of a caller's own may be."""
        with pytest.raises(UnsafeModelError):
            tf2spark.SavedModel(path_of(WORD), op_libraries=None).score(ROWS)  # type: ignore[arg-type]

    def test_compile_needs_its_libraries_here(self, tmp_path: Path) -> None:
        """A library that can't be loaded is named, not the op that is then missing."""
        library = tmp_path / "empty.so"
        library.write_bytes(b"")
        model = tf2spark.SavedModel(path_of(WORD), op_libraries=[library])
        with pytest.raises(SetupError, match=r"empty\.so is not a library of TensorFlow ops"):
            model.compile(tmp_path / "p")

    def test_a_folder_is_no_library(self, tmp_path: Path) -> None:
        """The file in it is."""
        with pytest.raises(ModelError, match=r"is a folder; name the file in it"):
            tf2spark.SavedModel(path_of(WORD), op_libraries=[tmp_path])

    def test_a_module_without_a_folder_has_no_library(self) -> None:
        """It is there, so installing it wouldn't help."""
        model = tf2spark.SavedModel(path_of(WORD), op_libraries=["json", "sys"])
        with pytest.raises(SetupError, match=r"the package json has no library of TensorFlow ops"):
            model.compile("unused")

    @pytest.mark.parametrize("name", ["no/such.so", "such.so", Path("such")])
    def test_a_missing_file_is_an_error(self, name: str | Path) -> None:
        """A path that leads nowhere is named before anything is read."""
        with pytest.raises(ModelError, match="there is no op library at"):
            tf2spark.SavedModel(path_of(WORD), op_libraries=[name])

    def test_a_file_that_changed_is_refused(self, own_library: Path) -> None:
        """What is loaded are the bytes that were there when the user named the library."""
        own_library.write_bytes(own_library.read_bytes() + b"1")
        model = tf2spark.SavedModel(path_of(WORD), op_libraries=[own_library])
        own_library.write_bytes(own_library.read_bytes() + b"2")
        with pytest.raises(ModelError, match="changed after it was read"):
            model.score(ROWS)


class TestOnSpark:
    def test_workers_load_a_module(self, spark: SparkSession) -> None:
        """Every worker loads the libraries of its own Python."""
        scored = text_model().score(spark.createDataFrame(ROWS)).orderBy("id").collect()
        assert [row.words for row in scored] == WORDS
        assert [row.tokens for row in scored] == TOKENS

    def test_workers_load_a_file(self, spark: SparkSession, own_library: Path) -> None:
        """A file is loaded from the host's cache, where its bytes were verified."""
        model = tf2spark.SavedModel(path_of(WORD), op_libraries=[own_library])
        scored = model.score(spark.createDataFrame(ROWS)).orderBy("id").collect()
        assert [row.words for row in scored] == WORDS

    def test_in_sql_and_as_a_column(self, spark: SparkSession) -> None:
        """A column function and a SQL function load them, too."""
        model = text_model()
        frame = spark.createDataFrame(ROWS)
        words = frame.select("id", model.udf(fetch=["words"])("text").alias("n")).orderBy("id")
        assert [row.n for row in words.collect()] == WORDS
        model.register(spark, "text_words", fetch=["words"])
        frame.createOrReplaceTempView("op_library_texts")
        rows = spark.sql("SELECT text_words(text) n FROM op_library_texts ORDER BY id").collect()
        assert [row.n for row in rows] == WORDS

    def test_recommend(self, spark: SparkSession) -> None:
        """The graph that scores pairs runs in workers with its ops."""
        model = tf2spark.SavedModel(path_of(PAIR), op_libraries=["tensorflow_text"])
        users = spark.createDataFrame([(1, "one"), (2, "two words")], "user_id int, query string")
        items = spark.createDataFrame([(10, "a"), (20, "b c")], "item_id int, title string")
        best = model.recommend(users, items, 1).orderBy("user_id").collect()
        assert [row.recommendations[0].item_id for row in best] == [20, 20]

    def test_a_library_that_workers_lack_fails_the_job(
        self, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A module of the driver alone is named by the first task, with what to install."""
        package = tmp_path / "driver_ops"
        package.mkdir()
        (package / "ops.so").write_bytes(text_library().read_bytes())
        monkeypatch.syspath_prepend(str(tmp_path))
        model = tf2spark.SavedModel(path_of(WORD), op_libraries=["driver_ops"])
        assert model.score(ROWS)["words"].tolist() == WORDS
        with pytest.raises(Exception, match=r"SetupError: the op library driver_ops is not instal"):
            model.score(spark.createDataFrame(ROWS)).collect()


class TestCommandLine:
    def test_inspect_says_which_package_has_an_op(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Without loading anything, `inspect` knows whose op it is and what score needs."""
        assert run_here(["inspect", str(path_of(TEXT))]) == 0
        shown = capsys.readouterr().out
        assert "FastWordpieceTokenizeWithOffsets: custom op of tensorflow-text" in shown
        assert "--op-library tensorflow_text" in shown

    def test_compile_and_score_take_the_library(self, tmp_path: Path, own_library: Path) -> None:
        """A library named on the command line is there for the package and for its scores."""
        pq.write_table(pa.Table.from_pandas(ROWS), tmp_path / "in.parquet")
        package, library = str(tmp_path / "p"), ["--op-library", str(own_library)]
        assert run_here(["compile", str(path_of(WORD)), package, *library]) == 0
        table = ["--input", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out")]
        scored = run("score", package, *table, "--master", "local[1]", *library)
        assert scored.returncode == 0, scored.stderr
        assert pq.read_table(tmp_path / "out").sort_by("id")["words"].to_pylist() == WORDS

    def test_doctor_loads_the_library(
        self, capsys: pytest.CaptureFixture[str], own_library: Path
    ) -> None:
        """`doctor` says whether a library can be loaded, and what to install."""
        libraries = ["--op-library", str(own_library), "--op-library", "tensorflow_nothing"]
        assert run_here(["doctor", "--no-spark", *libraries]) == 1
        shown = capsys.readouterr().out
        assert re.search(rf"ok +op library {re.escape(str(own_library))} +1 op\n", shown)
        assert re.search(r"missing +op library tensorflow_nothing +the op library tensor", shown)
