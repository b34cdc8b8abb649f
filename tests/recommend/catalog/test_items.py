"""The catalog's ids and values, sorted and written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tf2spark
from cases.models import case, path_of
from tf2spark.binding.bind import bind
from tf2spark.dtypes import FLOAT32
from tf2spark.errors import ContractError, RowError
from tf2spark.graph_split.forms import Side
from tf2spark.plan.recommend import IDS_FILE, ITEMS_FILE
from tf2spark.plan.score import Plan
from tf2spark.recommend.catalog import files
from tf2spark.recommend.catalog import items as items_module
from tf2spark.recommend.catalog.items import (
    item_error,
    item_id_type,
    item_options,
    score_items,
    score_quickly,
    sort_by_id,
    sort_ids,
    write_columns,
    write_ids,
    write_values,
)
from tf2spark.tensorflow_c.mapped_files import mapped_file
from tf2spark.worker.recommend.mapped_tables import mapped_table


def chunks(*parts: Any) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(part) for part in parts])


class TestIds:
    def test_are_sorted_with_their_rows(self) -> None:
        """Across chunks; negative numbers come first."""
        ids, order = sort_ids(chunks([5, -1], [3, 9]), "id")
        assert (ids.to_pylist(), order.to_pylist()) == ([-1, 3, 5, 9], [1, 2, 0, 3])

    def test_of_strings_are_sorted_by_their_bytes(self) -> None:
        """As Spark does, so that ties don't depend on who sorts."""
        ids, _ = sort_ids(chunks(["é", "b", "Z", "a10", "a9", ""]), "id")
        assert ids.to_pylist() == ["", "Z", "a10", "a9", "b", "é"]

    def test_of_a_dictionary_are_its_values(self) -> None:
        """In the order of the values, not of the dictionary."""
        ids, order = sort_ids(pa.chunked_array([pa.array(["b", "a"]).dictionary_encode()]), "id")
        assert (ids.to_pylist(), order.to_pylist()) == (["a", "b"], [1, 0])

    def test_are_not_looked_for_in_two_columns(self) -> None:
        """A join may have made them."""
        schema = pa.schema([("id", pa.int64()), ("id", pa.int64())])
        with pytest.raises(ContractError, match='the items have 2 columns "id"; rename all but'):
            item_id_type(schema, "id")

    def test_of_no_items_are_none(self) -> None:
        """With and without a chunk."""
        for empty in (pa.chunked_array([], pa.int64()), chunks(pa.array([], pa.int64()))):
            ids, order = sort_ids(empty, "id")
            assert (len(ids), len(order), ids.type) == (0, 0, pa.int64())

    def test_that_repeat_are_refused(self) -> None:
        """Wherever they are: the first and how many rows are too many."""
        with pytest.raises(
            ContractError, match=r"\"id\" 3 occurs more than once \(repeated rows: 3\)"
        ):
            sort_ids(chunks([9, 3, 7], [3, 3, 9]), "id")

    @pytest.mark.parametrize(
        ("column", "result"),
        [
            (pa.int8(), pa.int8()),
            (pa.uint64(), pa.uint64()),
            (pa.string(), pa.string()),
            (pa.large_string(), pa.string()),
            (pa.dictionary(pa.int8(), pa.string()), pa.string()),
        ],
    )
    def test_keep_their_type(self, column: pa.DataType, result: pa.DataType) -> None:
        """Except that Spark has only one type of strings."""
        assert item_id_type(pa.schema([("id", column)]), "id") == result

    def test_sort_a_table(self) -> None:
        """All columns move with the ids."""
        table = sort_by_id(pa.table({"x": ["c", "a", "b"], "id": [3, 1, 2]}), "id")
        assert table.to_pydict() == {"x": ["a", "b", "c"], "id": [1, 2, 3]}


class TestFiles:
    def test_of_values_are_in_the_order_of_the_ids(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of several chunks, written a few rows at a time; scalars, vectors and matrices."""
        monkeypatch.setattr(files, "_ROWS_PER_WRITE", 2)
        ids, order = sort_ids(chunks([3, 1], [5, 2, 4]), "id")
        scalars = chunks(np.array([30, 10], np.float32), np.array([50, 20, 40], np.float32))
        vectors = pa.chunked_array([[[[3, 30]], [[1, 10]]], [[[5, 50]], [[2, 20]], [[4, 40]]]],
                                   pa.list_(pa.list_(pa.float32())))  # fmt: skip
        table = pa.table({"tf2spark_value_0": scalars, "tf2spark_value_1": vectors})
        values = (Side("item", "a:0", FLOAT32, ()), Side("item", "b:0", FLOAT32, (1, 2)))
        first, second = write_values(
            tmp_path, table, order, ((values[0], "pa:0"), (values[1], "pb:0"))
        )
        assert (first.placeholder, first.shape) == ("pa:0", (5,))
        assert (second.placeholder, second.shape) == ("pb:0", (5, 1, 2))
        got = mapped_file(tmp_path / first.path, FLOAT32, first.shape).data.tolist()
        assert got == [10, 20, 30, 40, 50]
        matrices = mapped_file(tmp_path / second.path, FLOAT32, second.shape).data.tolist()
        assert matrices == [[[id_, 10 * id_]] for id_ in ids.to_pylist()]

    def test_of_ids_and_columns_are_mapped_as_written(self, tmp_path: Path) -> None:
        """Columns are named as in a batch of pairs; without columns, the row count stays."""
        write_ids(tmp_path, pa.array(["a", "b"], pa.large_string()), pa.string())
        assert mapped_table(tmp_path, IDS_FILE).column(0).equals(pa.array(["a", "b"]))
        table = pa.table({"id": chunks([1], [2]), "x": chunks([7.0], [8.0])})
        write_columns(tmp_path, table, ("x",))
        assert mapped_table(tmp_path, ITEMS_FILE).to_pydict() == {"item:x": [7.0, 8.0]}
        write_columns(tmp_path, table, ())
        assert mapped_table(tmp_path, ITEMS_FILE).num_rows == 2

    def test_of_no_items_are_empty(self, tmp_path: Path) -> None:
        """A file without a batch has a schema still."""
        write_ids(tmp_path, pa.array([], pa.int64()), pa.int64())
        ids = mapped_table(tmp_path, IDS_FILE)
        assert (ids.num_rows, ids.schema.field(0).type) == (0, pa.int64())


class TestScoring:
    @pytest.fixture
    def plan(self) -> Plan:
        """A dense model's plan for `catalog`."""
        runnable = tf2spark.SavedModel(path_of(case("keras_mlp")))._runnable
        options = item_options("id")
        return bind(runnable.request(None, None, None), catalog(1).schema, options,
                    runnable.reference())  # fmt: skip

    def test_of_growing_batches_gives_what_fixed_ones_give(
        self, plan: Plan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Every row once, in order, however many there are."""
        monkeypatch.setattr(items_module, "_PATIENCE_SECONDS", 600.0)
        for rows in (0, 1, 32, 33, 3_000):
            items = catalog(rows)
            quickly, slowly = score_quickly(items, plan), score_items(items, plan, 7)
            assert quickly is not None
            assert quickly.schema == slowly.schema
            assert quickly["id"].equals(items["id"])
            got, want = quickly.drop(["id"]), slowly.drop(["id"])
            for name in want.column_names:
                assert got[name].to_pylist() == pytest.approx(want[name].to_pylist(), 1e-5)

    def test_that_takes_long_is_left_to_others(
        self, plan: Plan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After the first batches, unless these were all."""
        monkeypatch.setattr(items_module, "_PATIENCE_SECONDS", -1.0)
        assert score_quickly(catalog(33), plan) is None
        whole = score_quickly(catalog(32), plan)
        assert whole is not None
        assert whole.num_rows == 32


def catalog(rows: int) -> pa.Table:
    """Items with 8 features."""
    features = np.random.default_rng(rows).normal(size=(rows, 8)).astype(np.float32)
    return pa.table({
        "id": pa.array(range(rows), pa.int64()),
        "features": pa.array(list(features), pa.list_(pa.float32())),
    })  # fmt: skip


def test_error_of_an_item_has_no_advice_for_users() -> None:
    """`mode` doesn't apply to items."""
    error = item_error(RowError("row 3 can't be scored", "permissive scores the others"))
    assert (
        str(error) == "an item can't be scored, so it can't be recommended: row 3 can't be scored"
    )
