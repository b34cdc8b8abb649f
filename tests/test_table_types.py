"""What counts as a table, and what its type is called."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tf2spark.table_types import class_name, is_arrow, is_pandas, is_spark, type_name


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (pa.table({}), "pyarrow.Table"),
        (pd.DataFrame(), "pandas.DataFrame"),
        (np.zeros(1), "numpy.ndarray"),
        ([], "list"),
        (pa.types, "module"),
    ],
)
def test_a_type_is_called_what_its_users_import(value: object, name: str) -> None:
    """Whatever module defines it."""
    assert type_name(value) == name


def test_a_class_that_no_package_has_is_called_by_its_module() -> None:
    """And by the class or function that it is in."""

    class Table:
        pass

    place = "test_a_class_that_no_package_has_is_called_by_its_module.<locals>"
    assert class_name(Table).endswith(f"test_table_types.{place}.Table")


def test_tables_are_told_apart_without_importing_their_packages() -> None:
    """Each by the name of its class."""
    arrow, pandas = pa.table({}), pd.DataFrame()
    assert (is_arrow(arrow), is_pandas(arrow), is_spark(arrow)) == (True, False, False)
    assert (is_arrow(pandas), is_pandas(pandas), is_spark(pandas)) == (False, True, False)
    assert is_arrow(pa.RecordBatch.from_pydict({}))
