"""The public face: one call from a folder and a table to scores, and its errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

import tf2spark
from cases.tiny_models import save_function_model, save_graph_model
from tf2spark import literal, output
from tf2spark.binding.options import Options
from tf2spark.errors import Audience, ContractError, ModelError, ModelNotFoundError, RowError
from tf2spark.runnable.model import RunnableModel
from tf2spark.runnable.score import score


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    save_graph_model(path / "graph" / "1")
    save_graph_model(path / "graph" / "12")
    save_function_model(path / "function")
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> tf2spark.SavedModel:
    """The TF1 graph: ``score`` is ``2 * sum(x) * scale``, where `scale` is 1 unless it is fed."""
    return tf2spark.SavedModel(folder / "graph")


TABLE = pa.table({"x": [[1.0, 2.0], [3.0, 4.0]], "ids": [2, 0]})


WRONG: dict[str, Any] = {"version": "x", "tags": 3, "digest": "a", "op_libraries": "b"}


def scored(model: tf2spark.SavedModel, table: Any = TABLE, **arguments: Any) -> dict[str, Any]:
    columns: dict[str, Any] = model.score(table, keep=[], **arguments).to_pydict()
    return columns


def message_of(model: tf2spark.SavedModel, table: Any = TABLE, **arguments: Any) -> str:
    with pytest.raises(ContractError) as refused:
        model.score(table, **arguments)
    return str(refused.value)


def test_a_model_says_what_it_is(model: tf2spark.SavedModel, folder: Path) -> None:
    """The contract names the version folder that was chosen, and the model shows its path."""
    assert model.contract.version == 12
    assert repr(model) == f"SavedModel('{folder / 'graph' / '12'}')"
    assert tf2spark.SavedModel(str(folder / "graph"), version=1).contract.version == 1


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    """A missing model is reported before any table is read."""
    with pytest.raises(ModelNotFoundError):
        tf2spark.SavedModel(tmp_path)


def test_tags_that_the_model_lacks(folder: Path) -> None:
    """Tags choose the MetaGraph, and wrong ones are refused."""
    with pytest.raises(ModelError, match="has no graph tagged"):
        tf2spark.SavedModel(folder / "function", tags=["train"])


def test_columns_are_matched_by_name(model: tf2spark.SavedModel) -> None:
    """A table whose columns are named like the inputs needs no feed; all columns stay."""
    out = model.score(TABLE)
    assert out.column_names == ["x", "ids", "hidden", "score"]
    assert out["score"].to_pylist() == [6.0, 14.0]
    assert out["hidden"].to_pylist() == [[2.0, 4.0], [6.0, 8.0]]


def test_a_default_stands_until_a_column_has_its_name(model: tf2spark.SavedModel) -> None:
    """An input with a default is fed by a column of its name, or by whatever is named."""
    fed = TABLE.append_column("scale", pa.array([10.0, 100.0]))
    assert scored(model, fetch=["score"]) == {"score": [6.0, 14.0]}
    assert scored(model, fed, fetch=["score"]) == {"score": [60.0, 1400.0]}
    assert scored(model, feed={"scale": "ids"}, fetch=["score"]) == {"score": [12.0, 0.0]}
    assert scored(model, feed={"scale": 0.5}, fetch=["score"]) == {"score": [3.0, 7.0]}


def test_a_default_of_a_single_value_passes_columns_by(model: tf2spark.SavedModel) -> None:
    """No column can feed it, so a column of the same name is no mistake."""
    fed = TABLE.append_column("rate", pa.array(["a", "b"]))
    assert scored(model, fed, fetch=["score"]) == {"score": [6.0, 14.0]}


def test_signatures_are_chosen_by_name(model: tf2spark.SavedModel) -> None:
    """Each signature has inputs and outputs of its own."""
    assert scored(model, signature="picked") == {"picked": [3.0, 1.0]}
    assert scored(model, signature="kept", feed={"keep_prob": 0.5}) == {
        "kept": [[0.5, 1.0], [1.5, 2.0]]
    }


def test_inputs_that_outputs_dont_need_go_unfed(model: tf2spark.SavedModel) -> None:
    """A table without ``ids`` is enough for an output that doesn't depend on it."""
    table = TABLE.select(["x"])
    assert scored(model, table, signature="both", fetch=["score"]) == {"score": [6.0, 14.0]}


def test_an_input_may_be_any_tensor_of_the_graph(model: tf2spark.SavedModel) -> None:
    """A signature's input inside the graph is fed there, and nothing upstream of it is needed."""
    table = pa.table({"h": TABLE["x"]})
    assert scored(model, table, signature="from_hidden") == {"total": [3.0, 7.0]}


def test_raw_tensors_are_fed_and_fetched(model: tf2spark.SavedModel) -> None:
    """Names with numbers reach into the graph, with a signature or without one."""
    assert scored(model, feed={"layer/hidden:0": "x"}, fetch={"p": "score:0"}) == {"p": [3.0, 7.0]}
    assert scored(model, feed={"ids:0": "ids"}, fetch=["picked:0"]) == {"picked": [3.0, 1.0]}
    assert scored(model, fetch={"left": "halves:0"}) == {"left": [1.0, 3.0]}


def test_a_fed_tensor_may_be_fetched(model: tf2spark.SavedModel) -> None:
    """What goes in can come out again."""
    assert scored(model, fetch={"again": "x:0"}) == {"again": [[1.0, 2.0], [3.0, 4.0]]}


def test_constants_feed_inputs(folder: Path) -> None:
    """A literal fills every row."""
    function = tf2spark.SavedModel(folder / "function")
    feed = {"words": literal("ß"), "times": 3}
    assert scored(function, feed=feed, fetch=["upper", "times"]) == {
        "upper": ["SS", "SS"],
        "times": [6, 6],
    }


def test_the_rank_of_an_output_can_be_given(model: tf2spark.SavedModel) -> None:
    """Also where it follows from the fed column."""
    arguments: Any = {"feed": {"any:0": "x"}, "signature": "odd"}
    assert scored(model, fetch={"p": output("any", rank=2)}, **arguments) == {
        "p": [[1.0, 2.0], [3.0, 4.0]]
    }
    assert scored(model, fetch={"p": "any"}, **arguments) == {"p": [[1.0, 2.0], [3.0, 4.0]]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"feed": {"x": "xs"}},
            'input "x" (float32 [None, 2]): the table has no column "xs"; did you mean "x"?',
        ),
        (
            {"signature": "kept"},
            'the table has no column for input "keep_prob" (float32 []); its columns are '
            '"x", "ids"; say what feeds it: feed={"keep_prob": 1.0}',
        ),
        (
            {"feed": {"y": "ids"}},
            'the signature "serving_default" has no input "y"; the inputs are "rate", "scale", "x" '
            '(a tensor of the graph has a number after its name, "y:0")',
        ),
        (
            {"feed": {"ids": "ids"}},
            'the signature "serving_default" has no input "ids", but "both" has; write '
            'signature="both"',
        ),
        (
            {"fetch": ["scores"]},
            'the signature "serving_default" has no output "scores"; did you mean "score"? (a '
            'tensor of the graph has a number after its name, "scores:0")',
        ),
        (
            {"fetch": {"p": "keep_prob:0"}},
            '"keep_prob:0" can\'t be computed without "keep_prob:0"; write '
            'feed={"keep_prob:0": "COLUMN"}, or feed a constant',
        ),
        (
            {"feed": {"keep_prob:0": 1.0}, "fetch": {"p": "keep_prob:0"}},
            'output "keep_prob:0" (float32 []) is one value per batch, not one per row; write '
            "batch_rows=1 to run the model row by row; or leave it out by naming the outputs you "
            "want: fetch=[...]",
        ),
        (
            {"signature": "odd", "fetch": ["weights"]},
            'output "weights" (float32 [3]) has 3 entries however many rows the table has; '
            "write batch_rows=3 if a batch has exactly as many rows, batch_rows=1 if that is one "
            "row's output; or leave it out by naming the outputs you want: fetch=[...]",
        ),
        (
            {"feed": {"x": "x", "x:0": "x"}},
            'feed: "x" and "x:0" are the same tensor, "x:0"; name only one of them',
        ),
        (
            {"fetch": {"ids": "score"}},
            'output "score" would become the column "ids", which is the name of the table\'s '
            'column "ids"; give it another name with fetch={"ids_out": "score"}, or drop columns '
            "of the table with keep=[...]",
        ),
        ({"mode": "dropmalform"}, "mode can't be 'dropmalform'; did you mean \"dropmalformed\"?"),
        ({"batch_rows": 0}, "batch_rows must be an integer of at least 1, not 0"),
    ],
)
def test_mistakes_are_found_before_anything_runs(
    model: tf2spark.SavedModel, arguments: dict[str, Any], message: str
) -> None:
    """One message names what is wrong and what to write."""
    assert message_of(model, **arguments) == message


@pytest.mark.parametrize("kind", ["pandas", "arrow", "spark"])
def test_mistakes_in_arguments_and_in_the_table_come_at_once(
    model: tf2spark.SavedModel, spark: SparkSession, kind: str
) -> None:
    """Whoever corrects the arguments isn't sent back for the table."""
    make: dict[str, Callable[[], Any]] = {
        "pandas": lambda: pd.DataFrame({"x": ["1"]}),
        "arrow": lambda: pa.table({"x": ["1"]}),
        "spark": lambda: spark.createDataFrame([("1",)], "x string"),
    }
    table = make[kind]()
    lines = message_of(model, table, mode="drop", keep=["idd"]).splitlines()
    assert lines[0] == "3 mistakes:"
    assert lines[1].startswith("- mode can't be 'drop'")
    assert lines[2].startswith('- input "x" (float32 [None, 2]) can\'t take column "x"')
    assert lines[3].startswith('- keep: the table has no column "idd"')
    # Where the inputs aren't known, the columns of the other arguments are.
    lines = message_of(model, table, feed={"nothing": "x"}, keep=["idd"], batch_rows=0).splitlines()
    assert [line.partition(" ")[2].partition(" ")[0] for line in lines[1:]] == [
        "batch_rows", "the", "keep:"
    ]  # fmt: skip
    # Inputs with a column of their name are, where no unknown name may be theirs.
    wrong: tuple[dict[str, Any], ...] = ({"fetch": ["z"]}, {"feed": {"other": "y"}})
    for arguments in wrong:
        lines = message_of(model, table, mode="drop", **arguments).splitlines()
        assert lines[0] == "3 mistakes:"
        assert lines[3].startswith('- input "x" (float32 [None, 2]) can\'t take column "x"')
    assert '"x" (float32' not in message_of(model, table, mode="drop", feed={"xs": "y"})


@pytest.mark.parametrize(
    ("call", "begins"),
    [
        (lambda model: model.udf(mode="x", fetch=["nope"]), ["mode", "the signature"]),
        (
            lambda model: model.udf(mode="dropmalformed", feed={"q": "w"}),
            ["a udf", "the signature"],
        ),
        (
            lambda model: model.register(None, "a.b", batch_rows=0, fetch=["nope"]),
            ["register()", "batch_rows", "the signature"],
        ),
        (
            lambda model: model.score(TABLE, reproducible=True, rows="batch", error_column="e"),
            ["the model's rows", "an error column"],
        ),
        (
            lambda model: model.compile("p", overwrite="n", tolerance=-1, fetch=["nope"], sample=1),
            ["overwrite", "tolerance", "the signature", "sample"],
        ),
        (
            lambda _: tf2spark.SavedModel("", **WRONG),
            ["path", "version", "tags", "'a' is not a digest", "op_libraries"],
        ),
    ],
    ids=["udf", "dropping_udf", "register", "score", "compile", "SavedModel"],
)
def test_mistakes_of_every_call_come_at_once(
    model: tf2spark.SavedModel, call: Callable[[Any], Any], begins: list[str]
) -> None:
    """Nobody corrects them one by one."""
    with pytest.raises(ContractError) as refused:
        call(model)
    first, *lines = str(refused.value).splitlines()
    assert first == f"{len(begins)} mistakes:"
    for line, begin in zip(lines, begins, strict=True):
        assert line.startswith(f"- {begin}")


@pytest.mark.parametrize(
    ("make", "cast"),
    [
        (pa.table, 'table = table.set_column(0, "scale", table["scale"].cast(pa.float32()))'),
        (
            pa.record_batch,
            'table = table.set_column(0, "scale", table["scale"].cast(pa.float32()))',
        ),
        (pd.DataFrame, 'df["scale"] = df["scale"].astype("float32")'),
    ],
)
def test_casts_are_in_the_words_of_the_table(
    model: tf2spark.SavedModel, make: Callable[[dict[str, list[Any]]], Any], cast: str
) -> None:
    """A user of pandas reads pandas, a user of pyarrow pyarrow."""
    message = message_of(model, make({"scale": ["1.0"], "x": [[1.0, 2.0]]}))
    assert message.endswith(f"the input takes float32; cast them first: {cast}")


@pytest.mark.parametrize(
    ("audience", "advice"),
    [
        ("python", '; mode="permissive" scores the other rows'),
        ("command_line", "; --mode permissive scores the other rows"),
        ("sql", '; register the function with model.register(spark, "NAME", mode="permissive"), '),
        ("udf", '; make the function with model.udf(mode="permissive"), which scores the other'),
        (None, ""),
    ],
)
def test_workers_write_for_the_audience_of_the_plan(
    folder: Path, audience: Audience | None, advice: str
) -> None:
    """The plan says who reads a worker's message, because Spark passes it on as text."""
    runnable = RunnableModel(str(folder / "graph"))
    request = runnable.request(None, None, ["score"])
    table = pa.table({"x": [[1.0, 2.0], None]})
    with pytest.raises(RowError) as refused:
        score(runnable, table, request, Options(audience=audience))
    message = str(refused.value)
    assert message.startswith("row 1")
    assert message.partition("is null")[2].startswith(advice)
    assert bool(advice) == ("permissive" in message)


def test_mistakes_of_spark_tables_are_found_on_the_driver(
    model: tf2spark.SavedModel, spark: SparkSession
) -> None:
    """The same message comes for a DataFrame, and no job has been started for it."""
    df = spark.createDataFrame([(["a"],)], "x array<string>")
    with pytest.raises(ContractError) as refused:
        model.score(df)
    assert str(refused.value) == (
        'input "x" (float32 [None, 2]) can\'t take column "x" (array<string>): its values are '
        "string and the input takes float32; cast them first: "
        'df = df.withColumn("x", df["x"].cast("array<float>"))'
    )


@pytest.mark.parametrize("kind", ["pandas", "arrow", "batch", "spark"])
def test_a_table_comes_back_as_its_kind(
    model: tf2spark.SavedModel, spark: SparkSession, kind: str
) -> None:
    """Whatever is scored, by whichever way, has the same scores."""
    columns = {"x": [[1.0, 2.0], [3.0, 4.0]], "id": ["a", "b"]}
    make: dict[str, Callable[[], Any]] = {
        "pandas": lambda: pd.DataFrame(columns),
        "arrow": lambda: pa.table(columns),
        "batch": lambda: pa.record_batch(columns),
        "spark": lambda: spark.createDataFrame(
            list(zip(*columns.values(), strict=True)), "x array<float>, id string"
        ),
    }
    table = make[kind]()
    out = model.score(table, keep=["id"], fetch=["score"])
    assert isinstance(out, type(table))
    arrow: Any = {
        "pandas": lambda: pa.Table.from_pandas(out, preserve_index=False),
        "arrow": lambda: out,
        "batch": lambda: pa.table(out),
        "spark": lambda: pa.Table.from_pylist([row.asDict() for row in out.collect()]),
    }[kind]()
    assert sorted(arrow.to_pylist(), key=lambda row: row["id"]) == [
        {"id": "a", "score": 6.0},
        {"id": "b", "score": 14.0},
    ]


def test_udf_takes_the_columns_that_have_no_default(
    model: tf2spark.SavedModel, spark: SparkSession
) -> None:
    """An input that the model has a default for is no argument of the column function."""
    df = spark.createDataFrame([([1.0, 2.0],)], "x array<float>")
    assert df.select(model.udf(fetch=["score"])("x")).first()[0] == 6.0  # type: ignore[index]


def test_udf_cant_drop_rows(model: tf2spark.SavedModel) -> None:
    """The arguments of a column function are checked when it is made."""
    with pytest.raises(ContractError, match='the mode "dropmalformed" can\'t drop one'):
        model.udf(mode="dropmalformed")
    with pytest.raises(ContractError, match=r'the model has no signature "nope"; the signatures'):
        model.udf(signature="nope")


def test_one_folder_is_opened_once(folder: Path) -> None:
    """Two objects of one model share the session, whatever they score."""
    from tf2spark.tensorflow_c import process

    first, second = (tf2spark.SavedModel(folder / "function") for _ in range(2))
    feed = {"words": literal("a"), "times": 1}
    scored(first, feed=feed, fetch=["total"])
    before = len(process._sessions)
    scored(second, feed=feed, fetch=["times"])
    assert len(process._sessions) == before


def test_import_is_light() -> None:
    """``import tf2spark`` brings in neither pyspark nor TensorFlow nor pandas."""
    code = (
        "import sys, tf2spark; "
        "print([name for name in ('pyspark', 'tensorflow', 'keras', 'pandas', 'click', 'rich') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
