"""Columns and fields as code; `test_cast_advice` runs it."""

from __future__ import annotations

import pytest

from tf2spark.binding.advice.expressions import (
    arrow_column,
    pandas_column,
    pyspark_column,
    sql_column,
)


@pytest.mark.parametrize(
    ("path", "pyspark", "sql", "pandas", "arrow"),
    [
        (("x",), 'df["x"]', "x", 'df["x"]', 'table["x"]'),
        (
            ("user", "zip code"),
            'df["user.zip code"]',
            "user.`zip code`",
            'df["user"].str["zip code"]',
            'pc.struct_field(table["user"], ["zip code"])',
        ),
        (("a.b",), 'df["`a.b`"]', "`a.b`", 'df["a.b"]', 'table["a.b"]'),
        (("ä",), 'df["ä"]', "`ä`", 'df["ä"]', 'table["ä"]'),
        (("a`b",), 'df["a`b"]', "`a``b`", 'df["a`b"]', 'table["a`b"]'),
    ],
)
def test_each_language_quotes_names_its_own_way(
    path: tuple[str, ...], pyspark: str, sql: str, pandas: str, arrow: str
) -> None:
    """Dots and blanks need backticks in Spark; structs are dicts in pandas."""
    assert pyspark_column(path) == pyspark
    assert sql_column(path) == sql
    assert pandas_column(path) == pandas
    assert arrow_column(path) == arrow
