"""Tables of pandas and Arrow scored in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import tf2spark
from cases.contracts import VECTOR, array
from cases.tiny_models import save_function_model, save_graph_model
from tf2spark.errors import ContractError, RowError
from tf2spark.spark.types import arrow_schema, spark_type


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    save_graph_model(path / "graph")
    save_function_model(path / "function")
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> tf2spark.SavedModel:
    """The TF1 graph: ``score`` is ``2 * sum(x)``."""
    return tf2spark.SavedModel(folder / "graph")


@pytest.fixture(scope="module")
def function(folder: Path) -> tf2spark.SavedModel:
    """The TF2 function: every kind of output."""
    return tf2spark.SavedModel(folder / "function")


def floats(rows: int = 3) -> list[list[float]]:
    return [[float(row), 1.0] for row in range(rows)]


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": floats(), **columns}, index=pd.Index(["a", "b", "c"], name="key"))


SCORES = [2.0, 4.0, 6.0]


@pytest.mark.parametrize(
    "kind",
    [
        array(pa.float32()),
        array(pa.float64()),
        array(pa.int64()),
        pa.large_list(pa.float32()),
        pa.list_(pa.float32(), 2),
        pa.large_list(pa.int8()),
    ],
    ids=str,
)
def test_lists_of_any_make(model: tf2spark.SavedModel, kind: pa.DataType) -> None:
    """Lists, large lists and lists of fixed size, of any numbers, feed a float input."""
    table = pa.table({"x": pa.array([[0, 1], [1, 1], [2, 1]], kind)})
    out = model.score(table, fetch=["score"], keep=[])
    assert out.to_pydict() == {"score": SCORES}
    assert out.schema == pa.schema([("score", pa.float32())])


@pytest.mark.parametrize("cut", [slice(0, 3), slice(1, 3), slice(2, 2)])
@pytest.mark.parametrize("kind", [array(pa.float32()), pa.list_(pa.float32(), 2)], ids=str)
def test_slices_keep_their_offset(
    model: tf2spark.SavedModel, cut: slice, kind: pa.DataType
) -> None:
    """A slice of a table is scored for its own rows, not for those before it."""
    table = pa.table({"x": pa.array(floats(), kind)})
    out = model.score(table.slice(cut.start, cut.stop - cut.start), fetch=["score"])
    assert out["score"].to_pylist() == SCORES[cut]


def test_chunks_are_put_together(model: tf2spark.SavedModel) -> None:
    """Chunks don't show in the result: empty ones, and other ones in each column."""
    table = pa.table(
        {
            "x": pa.chunked_array([floats()[:1], [], floats()[1:]], array(pa.float32())),
            "id": pa.chunked_array([[10, 11], [12]]),
        }
    )
    out = model.score(table, fetch=["score"])
    assert out.drop(["x"]).to_pydict() == {"id": [10, 11, 12], "score": SCORES}


@pytest.mark.parametrize(
    "words",
    [
        pa.array(["a", "b", "a"]),
        pa.array(["a", "b", "a"], pa.large_string()),
        pa.array(["a", "b", "a"], pa.string_view()),
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.array([b"a", b"b", b"a"]),
        pa.array([b"a", b"b", b"a"], pa.binary(1)),
        pa.chunked_array([pa.array(["a", "b"]), pa.array(["a"])]).dictionary_encode(),
        pa.chunked_array([pa.DictionaryArray.from_arrays([0, 1], ["a", "b"]),
                          pa.DictionaryArray.from_arrays([0], ["a"])]),
    ],
    ids=lambda words: str(words.type),
)  # fmt: skip
def test_strings_of_any_make(function: tf2spark.SavedModel, words: Any) -> None:
    """However Arrow holds strings, the model gets them, and the kept column stays as it is."""
    table = pa.table({"x": floats(), "words": words, "times": [1, 2, 3]})
    out = function.score(table, keep=["words"], fetch=["upper"])
    assert out["upper"].to_pylist() == ["A", "B", "A"]
    assert out["words"].type == words.type
    assert out["words"].to_pylist() == words.to_pylist()


def test_vectors_without_spark(model: tf2spark.SavedModel) -> None:
    """MLlib's vectors are structs to Arrow, dense and sparse ones in one column."""
    rows = [
        {"type": 1, "size": None, "indices": None, "values": [0.0, 1.0]},
        {"type": 0, "size": 2, "indices": [1], "values": [2.0]},
        {"type": 0, "size": 2, "indices": [], "values": []},
    ]
    out = model.score(pa.table({"x": pa.array(rows, VECTOR)}), fetch=["score"], keep=[])
    assert out["score"].to_pylist() == [2.0, 4.0, 0.0]


@pytest.mark.parametrize("make", [pa.table, pa.record_batch])
def test_no_rows(function: tf2spark.SavedModel, make: Any) -> None:
    """A table without rows gets the columns that any table would get."""
    columns = {
        "x": pa.array([], array(pa.float32())),
        "words": pa.array([], pa.string()),
        "times": pa.array([], pa.int64()),
    }
    empty = make(columns)
    full = make({"x": floats(1), "words": ["a"], "times": [1]})
    keep = ["x", "words"]
    out = function.score(empty, keep=keep)
    assert type(out) is type(empty)
    assert out.num_rows == 0
    assert out.schema.names == function.score(full, keep=keep).schema.names


def test_a_record_batch_stays_one(model: tf2spark.SavedModel) -> None:
    """A batch gives one batch, even if it is scored in several runs."""
    rows = 10_001
    batch = pa.record_batch({"x": pa.array(floats(rows), array(pa.float32()))})
    out = model.score(batch, fetch=["score"], keep=[])
    assert isinstance(out, pa.RecordBatch)
    assert out.column(0).to_pylist() == [2.0 * row + 2 for row in range(rows)]


def test_outputs_have_sparks_types(function: tf2spark.SavedModel) -> None:
    """Each output has, in this process, the very type that Spark gives its column."""
    table = pa.table({"x": floats(), "words": ["a", "b", "c"], "times": [1, 2, 3]})
    out = function.score(table, keep=[])
    assert {field.name: str(field.type) for field in out.schema} == {
        "nested": "list<item: list<item: float>>",
        "odd": "bool",
        "times": "int64",
        "total": "float",
        "upper": "string",
        "wide": "list<item: float>",
    }
    from pyspark.sql.types import StructField, StructType

    spark = StructType([StructField(field.name, spark_type(field.type)) for field in out.schema])
    assert arrow_schema(spark) == out.schema


def test_pandas_keeps_its_columns_and_index(model: tf2spark.SavedModel) -> None:
    """Kept columns come back with their own dtypes, whatever Arrow would make of them."""
    table = frame(
        kind=pd.Categorical(["u", "v", "u"]),
        count=pd.array([1, None, 3], "Int64"),
        when=pd.to_datetime(["2024-01-01", "2024-01-02", None]),
        odd=[{1}, object(), "text"],
    )
    before = table.copy()
    out = model.score(table, fetch=["score"])
    assert out["score"].tolist() == SCORES
    assert out["score"].dtype == np.float32
    pd.testing.assert_frame_equal(out.drop(columns="score"), before)
    pd.testing.assert_frame_equal(table, before)


def test_pandas_index_that_repeats(model: tf2spark.SavedModel) -> None:
    """Messages number rows by position, not by the index."""
    table = frame().set_axis(["a", "a", "b"])
    out = model.score(table, fetch=["score"])
    assert out["score"].tolist() == SCORES
    assert out.index.tolist() == ["a", "a", "b"]


@pytest.mark.parametrize(
    ("words", "times"),
    [
        (["a", "b", "c"], [1, 2, 3]),
        (pd.Series(["a", "b", "c"], dtype="string"), pd.Series([1, 2, 3], dtype="Int64")),
        (pd.Categorical(["a", "b", "c"]), pd.Series([1, 2, 3], dtype="int8")),
        (
            pd.Series(["a", "b", "c"], dtype=pd.ArrowDtype(pa.large_string())),
            pd.Series([1, 2, 3], dtype=pd.ArrowDtype(pa.int32())),
        ),
        ([b"a", b"b", b"c"], pd.Series([1, 2, 3], dtype="uint8")),
        (pd.Series(["a", "b", "c"], dtype=object), pd.Series([1, 2, 3], dtype=object)),
    ],
)
def test_pandas_dtypes_feed_inputs(function: tf2spark.SavedModel, words: Any, times: Any) -> None:
    """Strings as objects, strings or categories, and integers of every make feed the model."""
    table = pd.DataFrame({"x": floats(), "words": words, "times": times})
    out = function.score(table, keep=[], fetch=["upper", "odd"])
    assert out["upper"].tolist() == ["A", "B", "C"]
    assert out["odd"].tolist() == [True, False, True]


def test_pandas_lists_come_as_arrays_or_lists(model: tf2spark.SavedModel) -> None:
    """A column of lists may hold NumPy arrays; an output of lists holds them too."""
    table = pd.DataFrame({"x": [np.array(row, np.float32) for row in floats()]})
    out = model.score(table, fetch=["hidden"], keep=[])
    assert [row.tolist() for row in out["hidden"]] == [[0.0, 2.0], [2.0, 2.0], [4.0, 2.0]]


def test_pandas_columns_feed_side_by_side(model: tf2spark.SavedModel) -> None:
    """Names of columns that are no strings are fed by their text."""
    table = pd.DataFrame({0: [0, 1, 2], 1: [1.0, 1.0, 1.0]})
    out = model.score(table, feed={"x": ["0", "1"]}, fetch=["score"])
    assert out["score"].tolist() == SCORES
    assert out.columns.tolist() == [0, 1, "score"]


def test_pandas_missing_values_are_nulls(function: tf2spark.SavedModel) -> None:
    """None and NA are rows that can't be scored; integers stay integers beside them."""
    big = 2**62 + 1
    table = pd.DataFrame(
        {
            "x": [[1.0, 2.0], [1.0, None], [1.0, 2.0], None],
            "words": ["a", "b", None, "d"],
            "times": pd.array([big // 2, 2, 3, 4], "Int64"),
        }
    )
    out = function.score(table, keep=[], fetch=["times", "odd", "total"], mode="permissive")
    assert out["times"].tolist() == [big // 2 * 2, pd.NA, pd.NA, pd.NA]
    assert out["times"].dtype == "Int64"
    assert out["odd"].dtype == "boolean"
    assert out["total"].tolist()[0] == 9.0
    assert out["_error"].tolist() == [
        None,
        'column "x" contains a null',
        'column "words" is null',
        'column "x" is null',
    ]


def test_nan_is_a_number_in_pandas_and_in_arrow(model: tf2spark.SavedModel) -> None:
    """A model that takes floats is fed NaN, from whatever table; a null is no number."""
    columns = {"a": [1.0, np.nan], "b": [2.0, 3.0]}
    feed = {"x": ["a", "b"]}
    for table in (pd.DataFrame(columns), pa.table(columns)):
        scores = model.score(table, feed=feed, fetch=["score"])["score"].to_numpy()
        np.testing.assert_equal(scores, np.array([6.0, np.nan], np.float32))
    nulls = pd.DataFrame(columns).astype({"a": "Float64"})
    nulls.loc[1, "a"] = pd.NA
    out = model.score(nulls, feed=feed, fetch=["score"], mode="permissive")
    assert out["_error"].tolist() == [None, 'column "a" is null']


def test_dropped_rows_leave_with_their_index(model: tf2spark.SavedModel) -> None:
    """The rows that can be scored keep their places in the index."""
    table = frame(other=[1, 2, 3])
    table.at["b", "x"] = None
    out = model.score(table, fetch=["score"], mode="dropmalformed")
    assert out.index.tolist() == ["a", "c"]
    assert out["other"].tolist() == [1, 3]
    assert out["score"].tolist() == [2.0, 6.0]


def test_failfast_names_the_row(model: tf2spark.SavedModel) -> None:
    """A row number counts from the first row of the table, across batches."""
    table = pa.table({"ids": pa.array([0, 1, 2] * 5000 + [7, 0])})
    with pytest.raises(
        RowError, match=r"^row 15,000 of the table \(counted from 0; ids=7\) can't be scored"
    ):
        model.score(table, signature="picked")


def test_rows_that_tensorflow_refuses_are_found(model: tf2spark.SavedModel) -> None:
    """One bad id spoils no other row, in Arrow and in pandas."""
    ids = [0, 9, 2]
    arrow = model.score(pa.table({"ids": ids}), signature="picked", mode="permissive")
    assert arrow["picked"].to_pylist() == [1.0, None, 3.0]
    pandas = model.score(pd.DataFrame({"ids": ids}), signature="picked", mode="dropmalformed")
    assert pandas["picked"].tolist() == [1.0, 3.0]
    assert pandas.index.tolist() == [0, 2]


def test_an_empty_frame(model: tf2spark.SavedModel) -> None:
    """A DataFrame of no rows, whose column of lists tells no type, comes back with the outputs."""
    out = model.score(pd.DataFrame({"x": pd.Series([], dtype=object), "id": []}), fetch=["score"])
    assert out.columns.tolist() == ["x", "id", "score"]
    assert out["score"].dtype == np.float32


def test_a_column_of_nulls(model: tf2spark.SavedModel) -> None:
    """A column without values has no type, and no row of it can be scored."""
    table = pd.DataFrame({"x": [None, None]})
    out = model.score(table, fetch=["score"], mode="permissive")
    assert out["_error"].tolist() == ['column "x" is null'] * 2
    assert out["score"].isna().all()


def test_columns_of_mixed_objects_cant_be_fed(function: tf2spark.SavedModel) -> None:
    """A column of several types is named, and only where it feeds something."""
    table = pd.DataFrame({"x": floats(), "words": ["a", 1, {}], "times": [1, 2, 3]})
    with pytest.raises(ContractError) as refused:
        function.score(table)
    assert str(refused.value).startswith(
        "the values of column \"words\" are not of one type: str in row 0 ('a'), int in row 1"
    )


def test_an_input_in_the_index(model: tf2spark.SavedModel) -> None:
    """A frame whose index has the name of an input is one step from a table; others stay."""
    table = pd.DataFrame({"x": floats()})
    with pytest.raises(ContractError, match=r"it is in the index; write df\.reset_index\(\)"):
        model.score(pd.DataFrame({"id": range(3)}, index=pd.Index(range(3), name="x")))
    named = table.rename_axis("key")
    assert model.score(named, fetch=["score"]).index.name == "key"


@pytest.mark.parametrize(
    ("column", "advice"),
    [
        (
            pa.array([[1.0, 2.0]], pa.list_view(pa.float32())),
            r"cast it to list<.*\.cast\(pa\.list_",
        ),
        (
            pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array([1.0])),
            r'decode it first: pc\.run_end_decode\(table\["x"\]\)',
        ),
    ],
)
def test_encodings_of_pyarrow(model: tf2spark.SavedModel, column: pa.Array, advice: str) -> None:
    """What pyarrow alone has becomes a plain column by one call."""
    with pytest.raises(ContractError, match=advice):
        model.score(pa.table({"x": column}))


def test_frames_with_two_columns_of_one_name(model: tf2spark.SavedModel) -> None:
    """They may be kept; feeding from one is refused."""
    table = pd.DataFrame([[1, 2, [0.0, 1.0]]], columns=["a", "a", "x"])
    out = model.score(table, fetch=["score"])
    assert out.columns.tolist() == ["a", "a", "x", "score"]
    with pytest.raises(ContractError, match=r'the table has 2 columns "a"; rename all but one$'):
        model.score(table, feed={"x": ["a", "a"]}, fetch=["score"])


class Frame(pd.DataFrame):
    """A DataFrame of somebody's own class, as GeoPandas has."""


def test_subclasses_of_frames_are_frames(model: tf2spark.SavedModel) -> None:
    """A DataFrame is known by its ancestry."""
    assert model.score(Frame(frame()), fetch=["score"])["score"].tolist() == SCORES
