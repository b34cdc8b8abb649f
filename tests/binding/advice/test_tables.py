"""What isn't a table is refused with the code that makes one, and that code runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

import tf2spark
from cases.tiny_models import save_graph_model
from tf2spark.binding.advice.tables import check_recommend_tables, check_table, table_advice
from tf2spark.errors import ContractError
from tf2spark.table_types import is_spark

COLUMNS = {"x": [[1.0, 2.0], [3.0, 4.0]]}
TABLE = pyarrow.table(COLUMNS)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tf2spark.SavedModel:
    """The TF1 graph: ``score`` is ``2 * sum(x)``."""
    folder = tmp_path_factory.mktemp("models") / "graph"
    save_graph_model(folder)
    return tf2spark.SavedModel(folder)


def advised(value: Any, **names: Any) -> Any:
    """Run the code that a message advises, which calls the value `df`, `rows`, ... or `array`."""
    advice = table_advice(value)
    assert advice is not None
    code = advice.removeprefix("write ").split(" for a ")[0].split(", or ")[0].split(" or ")[0]
    given = re.match(r"(?:[\w.]*\()?\W*(?:name: list\(values\) for name, values in )?", code)
    assert given is not None
    words = ("df", "rows", "row", "data", "array", "series", "reader", "dataset", "scanner", "file",
             "batches", "rdd", "values")  # fmt: skip
    scope = dict.fromkeys(words, value) | {"pandas": pandas, "pyarrow": pyarrow} | names
    return eval(code.replace("COLUMN", "x"), scope)


def scores(model: tf2spark.SavedModel, table: Any) -> Any:
    scored = model.score(table, fetch=["score"])
    if is_spark(scored):
        return sorted(row["score"] for row in scored.collect())
    return [float(score) for score in scored["score"].tolist()] if isinstance(
        scored, pandas.DataFrame
    ) else scored["score"].to_pylist()  # fmt: skip


def values_that_pandas_or_pyarrow_take() -> dict[str, Any]:
    array = np.array(COLUMNS["x"], np.float32)
    return {
        "dict": COLUMNS,
        "dict of arrays": {"x": array},
        "list of dicts": [{"x": [1.0, 2.0]}, {"x": [3.0, 4.0]}],
        "array of two dimensions": array,
        "array of a structured type": np.array(
            [([1.0, 2.0],), ([3.0, 4.0],)], [("x", object)]
        ),
        "series": pandas.Series(COLUMNS["x"], name="x"),
        "array of pyarrow": TABLE["x"].combine_chunks(),
        "chunked array": TABLE["x"],
        "struct array": TABLE.to_struct_array().combine_chunks(),
        "reader": TABLE.to_reader(),
        "dataset": pyarrow.dataset.dataset(TABLE),
        "scanner": pyarrow.dataset.dataset(TABLE).scanner(),
        "batches": TABLE.to_batches(),
    }  # fmt: skip


@pytest.mark.parametrize("kind", values_that_pandas_or_pyarrow_take())
def test_the_code_makes_a_table(model: tf2spark.SavedModel, kind: str) -> None:
    """What the message says to write is code, and the call works with its result."""
    value = values_that_pandas_or_pyarrow_take()[kind]
    with pytest.raises(ContractError, match=r"^score\(\) takes a Spark DataFrame, .*, not "):
        model.score(value)
    assert scores(model, advised(value)) == [6.0, 14.0]


@pytest.mark.parametrize("ending", [".parquet", ".json", ".csv"])
def test_paths_are_read(
    model: tf2spark.SavedModel, tmp_path: Path, spark: SparkSession, ending: str
) -> None:
    """A path as text or as an object is read with Spark or with pandas, by its ending."""
    path = tmp_path / f"rows{ending}"
    if ending == ".parquet":
        pyarrow.parquet.write_table(TABLE, path)
    elif ending == ".json":
        TABLE.to_pandas().to_json(path, orient="records", lines=True)
    else:
        path.write_text("x,y\n1,2\n")
    on_spark, in_pandas = str(table_advice(path)).removeprefix("write ").split(" or ")
    assert table_advice(str(path)) == table_advice(path)
    assert in_pandas.startswith("pandas.read_")
    tables = [eval(on_spark, {"spark": spark}), eval(in_pandas, {"pandas": pandas})]
    if ending == ".csv":
        assert [list(table.columns) for table in tables] == [["x", "y"]] * 2
    else:
        assert [scores(model, table) for table in tables] == [[6.0, 14.0]] * 2


def test_names_and_uris_are_for_spark() -> None:
    """A name without slashes is a table of Spark's catalog; pandas can't read Hadoop's URIs."""
    assert table_advice("sales.orders") == 'write spark.table("sales.orders")'
    assert table_advice("s3a://b/orders") == 'write spark.read.parquet("s3a://b/orders")'
    assert table_advice("select * from orders") == 'write spark.sql("select * from orders")'


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (range(2), 'write pandas.DataFrame({"COLUMN": values})'),
        ({1.0, 2.0}, 'write pandas.DataFrame({"COLUMN": values})'),
        (pandas.Series({"x": 1.0}), "series.to_frame().T for one row"),
        (pandas.DataFrame(COLUMNS).rolling(2), "aggregate first"),
    ],
)
def test_collections_and_rows(value: Any, advice: str) -> None:
    """Whatever has values is one step away from a table."""
    assert advice in str(table_advice(value))


def test_an_open_file_is_read_by_its_name(tmp_path: Path) -> None:
    """The name that it was opened by says how."""
    with (tmp_path / "rows.csv").open("w") as file:
        assert f'pandas.read_csv("{tmp_path}/rows.csv")' in str(table_advice(file))


def test_a_model_in_the_place_of_the_table(model: tf2spark.SavedModel) -> None:
    """As in ``SavedModel.score(df, model)``."""
    with pytest.raises(ContractError, match=r"write model\.score\(table\)"):
        tf2spark.SavedModel.score(TABLE, model)  # type: ignore[type-var]


def test_objects_of_spark_that_are_no_tables(
    model: tf2spark.SavedModel, spark: SparkSession
) -> None:
    """Sessions, readers, columns, groups and RDDs each say how to get a DataFrame."""
    rows = [Row(x=[1.0, 2.0]), Row(x=[3.0, 4.0])]
    df = spark.createDataFrame(rows, "x array<float>")
    for data in (rows, df.rdd):
        assert scores(model, advised(data, spark=spark)) == [6.0, 14.0]
    kinds: list[tuple[Any, str]] = [
        (spark, 'write spark.table("NAME")'),
        (spark.read, "load the table"),
        (spark.readStream, "load the stream"),
        (df.write, "score the DataFrame, then write"),
        (df.writeTo("t"), "score the DataFrame, then write"),
        (df.na, "write what it returns: df.na.fill(0)"),
        (df.schema, "write spark.createDataFrame(rows, schema)"),
        (df.toPandas, "call the function: df.toPandas()"),
        (spark.catalog, 'write spark.table("NAME")'),
        (df.groupBy("x"), "aggregate first"),
        (F.col("x"), "write df.select(column)"),
        (rows[0], "write spark.createDataFrame([row])"),
        (type(df), "pass an object of that class"),
    ]
    for value, advice in kinds:
        with pytest.raises(ContractError) as refused:
            model.score(value)
        assert f"; {advice}" in str(refused.value)


def test_pandas_on_spark_frames_become_spark_frames() -> None:
    """They look like pandas and are Spark's; the class is known by its name alone."""

    class DataFrame:
        """As pyspark.pandas has one; importing the real one warns and is slow."""

    DataFrame.__module__ = "pyspark.pandas.frame"
    with pytest.raises(ContractError, match=r"not pyspark\.pandas\.frame\..*; write df\.to_spark"):
        check_table(DataFrame())


@pytest.mark.parametrize(
    ("module", "name", "advice"),
    [
        ("polars.dataframe.frame", "DataFrame", "write df.to_arrow()"),
        ("polars.lazyframe.frame", "LazyFrame", "write df.collect().to_arrow()"),
        ("dask.dataframe.core", "DataFrame", "write df.compute()"),
        ("dask.dataframe.dask_expr._collection", "DataFrame", "write df.compute()"),
        ("ray.data.dataset", "Dataset",
         'write ds.to_pandas(), or ds.map_batches(model.score, batch_format="pandas")'),
        ("datasets.arrow_dataset", "Dataset", "write dataset.to_pandas()"),
    ],
)  # fmt: skip
def test_tables_of_other_libraries(module: str, name: str, advice: str) -> None:
    """They are known by the names of their classes, which need not be installed."""
    value = type(name, (), {"__module__": module})()
    assert table_advice(value) == advice


def test_what_has_an_interface_of_arrow_is_converted_by_it() -> None:
    """Any other table with the Arrow C interface, or a `to_pandas`, says so."""
    assert table_advice(type("T", (), {"__arrow_c_stream__": 1})()) == "write pyarrow.table(df)"
    assert table_advice(type("T", (), {"to_pandas": len})()) == "write df.to_pandas()"
    assert table_advice(object()) is None
    assert table_advice(lambda: None) == "pass what the function returns"
    assert table_advice(dict.fromkeys) == "call the function: fromkeys()"


def test_objects_whose_attributes_are_columns_have_no_advice() -> None:
    """They raise what they like for a name that is no column, as groups of pandas-on-Spark do."""

    class Groups:
        def __getattr__(self, name: str) -> object:
            raise KeyError(name)

    assert table_advice(Groups()) is None


def test_all_wrong_tables_of_recommend_come_at_once() -> None:
    """Users and items."""
    with pytest.raises(
        ContractError, match=r"^2 mistakes:\n- .*the users as .*\n- .*the items as "
    ):
        check_recommend_tables(None, [{"id": 1}])


def test_both_tables_of_recommend_are_checked() -> None:
    """The message says which of the two isn't a table."""
    frame = pandas.DataFrame(COLUMNS)
    with pytest.raises(ContractError, match=r"^recommend\(\) takes the users as .* not dict; wr"):
        check_recommend_tables(COLUMNS, frame)
    with pytest.raises(ContractError, match=r"^recommend\(\) takes the items as .* not None; df"):
        check_recommend_tables(frame, None)


def test_a_sample_is_a_local_table(spark: SparkSession) -> None:
    """`compile` runs its sample in this process."""
    with pytest.raises(ContractError, match=r"^sample must be a pandas .*; write df\.limit\(1"):
        check_table(spark.range(3), "sample must be", local=True)
    check_table(TABLE, "sample must be", local=True)
