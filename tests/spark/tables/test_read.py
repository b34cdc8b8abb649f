from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from tf2spark.errors import ContractError, SetupError
from tf2spark.spark.tables.read import read_source


def read(spark: SparkSession, **named: Any) -> DataFrame:
    given: dict[str, Any] = {
        "path": None, "table": None, "sql": None, "format": "parquet", "options": {}, "where": None,
    }  # fmt: skip
    return read_source(spark, "--input", **{**given, **named}, where_option="--where")


@pytest.fixture(autouse=True)
def houses(spark: SparkSession) -> None:
    spark.range(5).selectExpr("id", "CAST(id AS STRING) AS dt").createOrReplaceTempView("houses")


def test_tables_views_and_queries(spark: SparkSession) -> None:
    """A condition limits the rows of any of them."""
    assert read(spark, table="houses").count() == 5
    assert read(spark, table="houses", where="id < 2 AND dt = '1'").count() == 1
    assert read(spark, sql="SELECT id FROM houses;").columns == ["id"]
    assert read(spark, sql="WITH h AS (FROM houses) SELECT * FROM h", where="id > 2").count() == 2


def test_compressed_files(spark: SparkSession, tmp_path: Path) -> None:
    """Spark reads them by their endings."""
    (tmp_path / "in.csv.gz").write_bytes(gzip.compress(b"id,dt\n1,a\n2,b\n"))
    df = read(spark, path=str(tmp_path), format="csv", options={"header": "true"}, where="id = 2")
    assert [row.dt for row in df.collect()] == ["b"]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"table": "huses"}, 'no table or view "huses"; did you mean "houses"'),
        ({"table": "nodb.t"}, 'no table or view "nodb.t"; it has no tables there'),
        ({"sql": "SELECT nope FROM houses"}, "--input: A column, variable, or function parameter"),
        ({"sql": "SELEC 1"}, "--input can't be parsed: Syntax error at or near 'SELEC'"),
        ({"sql": "DROP TABLE houses"}, "takes a query, and this statement does something else"),
        ({"sql": "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x"}, "something else: WITH"),
        ({"sql": "CREATE TEMP VIEW v AS SELECT 1"}, "write SELECT ... or WITH ... SELECT ..."),
        ({"sql": ""}, "can't be parsed"),
        ({"table": "houses", "where": "dte = 1"}, "--where dte = 1: "),
        ({"table": "houses", "where": "dte = 1"}, "the table has id, dt"),
        ({"table": "houses", "where": "id ="}, "--where id =: "),
        ({"table": "houses", "where": "id"}, "--where id: "),
        ({"table": "houses", "where": " "}, "--where is empty"),
    ],
)
def test_mistakes(spark: SparkSession, named: dict[str, str], message: str) -> None:
    """Each is one message, before a row is read; a statement that is no query isn't run."""
    with pytest.raises(ContractError) as raised:
        read(spark, **named)
    assert message in str(raised.value)
    assert spark.catalog.tableExists("houses")
    assert not spark.catalog.tableExists("v")


@pytest.mark.parametrize(
    ("kind", "artifact"),
    [("delta", "io.delta:delta-spark_"), ("iceberg", "iceberg-spark-runtime-")],
)
def test_missing_jar(spark: SparkSession, kind: str, artifact: str, tmp_path: Path) -> None:
    """The message has a coordinate, and the settings that the format needs."""
    with pytest.raises(SetupError, match=f"spark.jars.packages=\\S*{artifact}\\S+ .*extensions="):
        read(spark, path=str(tmp_path), format=kind)


def test_missing_jar_of_a_catalog(spark: SparkSession) -> None:
    """A catalog whose class is in no jar is as clear."""
    spark.conf.set("spark.sql.catalog.ice", "org.apache.iceberg.spark.SparkCatalog")
    try:
        with pytest.raises(SetupError, match="Iceberg tables need a jar that this session lacks"):
            read(spark, table="ice.db.t")
    finally:
        spark.conf.unset("spark.sql.catalog.ice")
