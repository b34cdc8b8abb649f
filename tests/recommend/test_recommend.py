"""`SavedModel.recommend` with every kind of table, id, restriction and unusual input."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf

import tf2spark
from cases import recommenders
from cases.models.saving import save_function, weights
from cases.recommenders.calls import K, assert_best, pairs_of, recommended
from cases.recommenders.running import best_of, path_of
from tf2spark.errors import ContractError, RowError


class TestTables:
    def test_pandas_gives_pandas(self) -> None:
        """A pandas table of users becomes a pandas table with the same recommendations."""
        case = recommenders.case("keras_lookups")
        users, items = case.users(9), case.items(20)
        got = recommended(case, users.to_pandas(), items.to_pandas())
        assert isinstance(got, pd.DataFrame)
        assert list(got.columns) == ["user_id", "recommendations"]
        arrow = pairs_of(recommended(case, users, items))
        assert [[tuple(best.values()) for best in row] for row in got["recommendations"]] == arrow

    def test_pandas_columns_that_nothing_reads_can_hold_anything(self) -> None:
        """Columns of mixed types don't matter; kept ones come back as they are, with the index."""
        case = recommenders.case("dot")
        users, items = case.users(3), case.items(5)
        expected = recommended(case, users.to_pandas(), items.to_pandas())
        notes = [{1}, "new", 3.5]
        mixed = users.to_pandas().assign(note=notes, other=[1, "b", None]).set_axis(list("pqr"))
        got = recommended(
            case, mixed, items.to_pandas().assign(code=[object(), 1, "c", None, 2.5]), keep=["note"]
        )
        assert got["note"].tolist() == notes
        assert got.index.tolist() == ["p", "q", "r"]
        assert [list(row) for row in got["recommendations"]] == [
            list(row) for row in expected["recommendations"]
        ]
        refusal = '^the values of column "user_id" are not of one type: set in row 0'
        with pytest.raises(ContractError, match=refusal):
            recommended(case, mixed.assign(user_id=notes), items)

    @pytest.mark.parametrize("name", ["dot_ties", "softmax_over_batch"])
    def test_pyarrow_columns_that_nothing_reads_can_hold_anything(self, name: str) -> None:
        """Two of one name, as a join makes them, and times that Python doesn't have."""
        case = recommenders.case(name)
        users, items = case.users(5), case.items(9)
        want = pairs_of(recommended(case, users, items))
        for _ in range(2):
            users, items = (
                side.append_column("far", pa.array([2**62] * len(side), pa.timestamp("us")))
                for side in (users, items)
            )
        assert pairs_of(recommended(case, users, items)) == want

    def test_keeps_the_columns_that_keep_names(self) -> None:
        """The id comes first, then what `keep` names, then the recommendations."""
        case = recommenders.case("dot")
        users = case.users(4).append_column("name", pa.array(list("abcd")))
        got = recommended(case, users, case.items(5), keep=["name"])
        assert got.column_names == ["user_id", "name", "recommendations"]

    def test_model_column_has_the_digest_of_model_and_catalog(self) -> None:
        """Another catalog is another digest."""
        case = recommenders.case("dot")
        digests = {
            recommended(case, case.users(3), case.items(n), model_column="model")["model"][
                0
            ].as_py()
            for n in (5, 6)
        }
        assert len(digests) == 2

    def test_mirrors(self) -> None:
        """With the tables swapped, each item gets its best users."""
        case = recommenders.case("dot")
        users, items = case.users(12), case.items(8)
        model = tf2spark.SavedModel(path_of(case))
        got = model.recommend(items, users, 3, user_id="item_id", item_id="user_id")
        forward = model.recommend(users, items, 8)
        scores = {
            (user, best["item_id"]): best["score"]
            for user, row in zip(*forward.to_pydict().values(), strict=True)
            for best in row
        }
        for item, row in zip(*got.to_pydict().values(), strict=True):
            want = sorted(((-s, u) for (u, i), s in scores.items() if i == item))[:3]
            assert [best["user_id"] for best in row] == [user for _, user in want]

    @pytest.mark.parametrize("kind", ["pandas", "pyarrow"])
    def test_swapped_are_named(self, kind: str) -> None:
        """Tables that lack each other's columns have been swapped, which is one sentence."""
        case = recommenders.case("dot")
        users, items = case.users(3), case.items(5)
        if kind == "pandas":
            users, items = users.to_pandas(), items.to_pandas()
        model = tf2spark.SavedModel(path_of(case))
        with pytest.raises(ContractError) as refused:
            model.recommend(items, users)
        assert str(refused.value) == (
            'the tables look swapped: the users have no "user_id", but the items do, and the items '
            'have no "item_id", but the users do; write recommend(items=..., users=...) with each '
            "table under its own name"
        )
        with pytest.raises(ContractError, match=r"^the tables look swapped: "):
            model.plan(items, users)

    @pytest.mark.parametrize("argument", ["exclude", "candidates", "keep", "feed"])
    def test_swapped_are_named_by_any_column_of_users(self, argument: str) -> None:
        """Where both tables have both ids, another column of users shows the swap."""
        users, items = table(id=[1], a=[[1.0]], seen=[[1]]), table(id=[1], b=[[1.0]])
        given: dict[str, Any] = {
            "exclude": "seen",
            "candidates": "seen",
            "keep": ["seen"],
            "feed": {"user": "user:a"},
        }
        model = tf2spark.SavedModel(path_of(recommenders.case("dot")))
        column = "a" if argument == "feed" else "seen"
        with pytest.raises(ContractError, match=rf'swapped: the users have no "{column}", but the'):
            model.recommend(items, users, user_id="id", item_id="id", **{argument: given[argument]})

    def test_that_only_lack_a_column_are_not_swapped(self) -> None:
        """A column that neither table has is missing, as before."""
        case = recommenders.case("dot")
        with pytest.raises(ContractError, match=r'^the users have no column "uid"'):
            recommended(case, case.users(3), case.items(5), user_id="uid")


class TestIds:
    @pytest.mark.parametrize("kind", [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.string()])
    def test_may_have_any_width(self, kind: pa.DataType, vectors: Path) -> None:
        """Item ids keep their type."""
        items = table(item_id=pa.array([3, 1, 2]).cast(kind), b=[[1.0], [2.0], [3.0]])
        got = tf2spark.SavedModel(vectors).recommend(one_user(), items, 2)
        assert got.schema.field("recommendations").type.value_type.field("item_id").type == kind
        assert [best["item_id"] for best in got["recommendations"][0].as_py()] == pa.array(
            [2, 1]
        ).cast(kind).to_pylist()

    def test_that_repeat_are_refused(self, vectors: Path) -> None:
        """The message names an id that repeats, and says what to do."""
        items = table(item_id=[5, 5, 1], b=[[1.0]] * 3)
        with pytest.raises(ContractError, match=r'"item_id" 5 occurs more than once'):
            tf2spark.SavedModel(vectors).recommend(one_user(), items)

    def test_that_are_null_are_refused(self, vectors: Path) -> None:
        """The message says how many and how to leave them out."""
        items = table(item_id=pa.array([5, None]), b=[[1.0]] * 2)
        with pytest.raises(ContractError, match=r"1 of 2 items have no id"):
            tf2spark.SavedModel(vectors).recommend(one_user(), items)

    def test_of_other_types_are_refused(self, vectors: Path) -> None:
        """A double can't be an id."""
        items = table(item_id=[0.5], b=[[1.0]])
        with pytest.raises(ContractError, match=r"integers or strings.*double"):
            tf2spark.SavedModel(vectors).recommend(one_user(), items)


class TestUnusualInputs:
    def test_more_than_the_catalog_gives_all_of_it(self, vectors: Path) -> None:
        """`k` larger than the catalog isn't an error."""
        items = table(item_id=[1, 2], b=[[1.0], [2.0]])
        got = tf2spark.SavedModel(vectors).recommend(one_user(), items, 10)
        assert pairs_of(got) == [[(2, 2.0), (1, 1.0)]]

    def test_items_of_one_number_may_be_many(self, tmp_path: Path) -> None:
        """Their values have no width, by which larger catalogs of vectors are scanned."""
        score = lambda user, item: {"score": tf.tanh(user) * item}  # noqa: E731
        sides = [tf.TensorSpec([None], tf.float32, name) for name in ("user", "item")]
        save_function(tmp_path / "model", score, *sides)
        items = pa.table({"item_id": range(1_200), "item": np.arange(1_200, dtype=np.float32)})
        users = pa.table({"user_id": [1], "user": pa.array([1.0], pa.float32())})
        got = tf2spark.SavedModel(tmp_path / "model").recommend(users, items, 1)
        ((best,),) = got["recommendations"].to_pylist()
        assert best["item_id"] == 1_199
        assert best["score"] == pytest.approx(math.tanh(1) * 1_199)

    def test_empty_catalog_gives_empty_lists(self, vectors: Path) -> None:
        """Without items, every user is there with an empty list."""
        items = table(item_id=pa.array([], pa.int64()), b=pa.array([], pa.list_(pa.float32())))
        assert pairs_of(tf2spark.SavedModel(vectors).recommend(one_user(), items)) == [[]]

    def test_no_users_give_no_rows(self, vectors: Path) -> None:
        """An empty table of users gives an empty table."""
        items = table(item_id=[1], b=[[1.0]])
        got = tf2spark.SavedModel(vectors).recommend(one_user().slice(0, 0), items)
        assert got.num_rows == 0
        assert got.column_names == ["user_id", "recommendations"]

    @pytest.mark.parametrize("rows", [0, 1])
    def test_a_record_batch_gives_a_record_batch(self, rows: int, vectors: Path) -> None:
        """Users in a RecordBatch come back in a RecordBatch, even if there are none."""
        users = one_user().to_batches()[0].slice(0, rows)
        got = tf2spark.SavedModel(vectors).recommend(users, table(item_id=[1], b=[[1.0]]))
        assert isinstance(got, pa.RecordBatch)
        assert (got.num_rows, got.schema.names) == (rows, ["user_id", "recommendations"])

    def test_user_without_features_follows_the_mode(self, vectors: Path) -> None:
        """A user with a null feature can't be scored; the others are."""
        users = table(user_id=[1, 2, 3], a=pa.array([[1.0], None, [2.0]], pa.list_(pa.float32())))
        items = table(item_id=[1], b=[[1.0]])
        model = tf2spark.SavedModel(vectors)
        with pytest.raises(RowError, match=r"user_id=2.*null"):
            model.recommend(users, items)
        got = model.recommend(users, items, mode="permissive")
        assert pairs_of(got) == [[(1, 1.0)], None, [(1, 2.0)]]
        assert got["_error"].to_pylist()[1]
        dropped = model.recommend(users, items, mode="dropmalformed")
        assert dropped["user_id"].to_pylist() == [1, 3]

    def test_item_that_is_refused_is_named_before_users_start(self, vectors: Path) -> None:
        """A null feature of an item is an error of the catalog, whatever the mode."""
        items = table(item_id=[1, 9], b=pa.array([[1.0], None], pa.list_(pa.float32())))
        with pytest.raises(RowError, match=r"item_id=9"):
            tf2spark.SavedModel(vectors).recommend(one_user(), items, mode="permissive")

    def test_item_that_only_the_whole_graph_refuses_is_named_too(self, tmp_path: Path) -> None:
        """A graph that runs whole names the item before users start as well."""
        save_function(
            tmp_path / "m",
            lambda a, b: tf.nn.softmax(tf.reduce_sum(a * b, 1, keepdims=True), 0),
            tf.TensorSpec([None, 1], tf.float32, name="a"),
            tf.TensorSpec([None, 1], tf.float32, name="b"),
        )
        items = table(item_id=[1, 9], b=pa.array([[1.0], None], pa.list_(pa.float32())))
        with pytest.raises(RowError, match=r"item_id=9 can't be scored"):
            tf2spark.SavedModel(tmp_path / "m").recommend(one_user(), items)

    def test_nan_is_no_score(self, vectors: Path) -> None:
        """A user with a NaN among the scores of items that may be returned can't be scored."""
        users = table(user_id=[1, 2], a=[[math.nan], [1.0]])
        items = table(item_id=[7, 8], b=[[1.0], [2.0]])
        model = tf2spark.SavedModel(vectors)
        with pytest.raises(RowError, match=r"user_id=1.*with item_id=7: the score is NaN"):
            model.recommend(users, items)
        got = model.recommend(users, items, mode="permissive")
        assert pairs_of(got) == [None, [(8, 2.0), (7, 1.0)]]

    def test_minus_infinity_is_never_returned(self, vectors: Path) -> None:
        """It is how models say "never"."""
        items = table(item_id=[7, 8], b=[[-math.inf], [2.0]])
        assert pairs_of(tf2spark.SavedModel(vectors).recommend(one_user(), items)) == [[(8, 2.0)]]


class TestRowsOfOtherSizes:
    def test_users_with_other_lengths_run_whole(self, tmp_path: Path) -> None:
        """Where the first users set the length of a history, users with another are scored too."""
        vectors = weights(50, 4, seed=1)
        save_function(
            tmp_path / "m",
            lambda history, item: tf.reduce_sum(
                tf.reduce_mean(tf.gather(vectors, history), 1) * tf.gather(vectors, item), 1
            ),
            tf.TensorSpec([None, None], tf.int64, name="history"),
            tf.TensorSpec([None], tf.int64, name="item"),
            keep={"vectors": vectors},
        )
        rng = np.random.default_rng(1)
        histories = [rng.integers(0, 50, 5).tolist() for _ in range(40)] + [
            [1, 2, 3],
            None,
            [7] * 9,
        ]
        users = pa.table({"user_id": range(43), "history": histories})
        items = pa.table({"item_id": range(20), "item": rng.permutation(50)[:20]})
        model = tf2spark.SavedModel(tmp_path / "m")
        assert model.plan(users, items).why_whole is None
        got = model.recommend(users, items, 3, mode="permissive")
        assert got["_error"].null_count == 42
        table = vectors.numpy()
        for history, row in zip(histories, pairs_of(got), strict=True):
            if history is None:
                assert row is None
                continue
            scores = table[history].mean(0) @ table[items["item"].to_numpy()].T
            assert [item for item, _ in row] == np.argsort(-scores)[:3].tolist()

    def test_short_users_before_items_are_filled_up_as_in_score(self, tmp_path: Path) -> None:
        """Ids and values are filled up at the row's end, wherever the short users are."""
        places = tf.Variable([[1.0], [10.0], [100.0], [1000.0], [10000.0]])
        save_function(
            tmp_path / "m",
            lambda ids, vals: tf.squeeze((tf.cast(ids, tf.float32) * vals) @ places, 1),
            tf.TensorSpec([None, 5], tf.int64, name="ids"),
            tf.TensorSpec([None, 5], tf.float32, name="vals"),
            keep={"places": places},
        )
        pairs = pa.struct([("indices", pa.list_(pa.int64())), ("values", pa.list_(pa.float32()))])
        full, short = ([1, 2, 3], [1.0, 1.0, 1.0]), ([4, 5], [1.0, 2.0])
        rows = [
            dict(zip(("indices", "values"), pair, strict=True)) for pair in [full] * 99 + [short]
        ]
        users = pa.table({"user_id": range(100), "u": pa.array(rows, pairs)})
        items = pa.table(
            {"item_id": [7], "i": pa.array([{"indices": [3, 4], "values": [1.0, 1.0]}], pairs)}
        )
        feed = {"ids": ["u.indices", "i.indices"], "vals": ["u.values", "i.values"]}
        model = tf2spark.SavedModel(tmp_path / "m")
        assert model.plan(users, items, feed=feed).why_whole is None
        got = pairs_of(model.recommend(users, items, 1, feed=feed))
        joint = pa.table({"u": users["u"], "i": pa.array([items["i"][0].as_py()] * 100, pairs)})
        scores = model.score(joint, feed=feed, keep=[]).column(0).to_pylist()
        assert [row[0][1] for row in got] == scores
        assert scores[-1] == 4 + 5 * 2 * 10 + 3 * 100 + 4 * 1000

    def test_items_with_other_lengths_run_whole(self, vectors: Path, tmp_path: Path) -> None:
        """A graph isn't split for a catalog of uneven rows, and the plan says so."""
        save_function(
            tmp_path / "m",
            lambda a, b: tf.reduce_sum(a, 1) * tf.reduce_sum(b, 1),
            tf.TensorSpec([None, 1], tf.float32, name="a"),
            tf.TensorSpec([None, None], tf.float32, name="b"),
        )
        items = table(item_id=range(50), b=[[1.0]] * 49 + [[2.0, 3.0]])
        model = tf2spark.SavedModel(tmp_path / "m")
        assert "different lengths" in str(model.plan(one_user(), items).why_whole)
        assert pairs_of(model.recommend(one_user(), items, 1)) == [[(49, 5.0)]]


class TestRestrictions:
    @pytest.mark.parametrize("name", ["dot", "deepfm_keras", "keras_lookups", "softmax_over_batch"])
    def test_exclude_and_candidates(self, name: str) -> None:
        """Excluded ids are never returned, and only candidates are; unknown ids are ignored."""
        case = recommenders.case(name)
        users, items = case.users(11), case.items(40)
        ids = items["item_id"].to_pylist()
        unknown = "nowhere" if isinstance(ids[0], str) else 10**6 + 77
        rng = np.random.default_rng(3)
        seen = [[*rng.choice(ids, 12).tolist(), unknown] for _ in range(10)] + [None]
        allowed = [None, [], *(rng.choice(ids, 15).tolist() for _ in range(9))]
        kind = pa.list_(items.schema.field("item_id").type)
        users = users.append_column("seen", pa.array(seen, kind))
        users = users.append_column("allowed", pa.array(allowed, kind))
        restrictions: Any = {"exclude": "seen", "candidates": "allowed"}
        for more in ({"exclude": "seen"}, {"candidates": "allowed"}, restrictions):
            given = {argument: users[column].to_pylist() for argument, column in more.items()}
            want = best_of(case, users, items, K, **given)
            for got, best in zip(pairs_of(recommended(case, users, items, **more)), want,
                                 strict=True):  # fmt: skip
                assert_best(got, best)

    def test_ids_of_another_width_are_the_same_ids(self, vectors: Path) -> None:
        """Lists of longs match ids that are ints; an id that no int holds is unknown."""
        users = one_user().append_column("seen", pa.array([[2, 2**40]], pa.list_(pa.int64())))
        items = table(item_id=pa.array([1, 2], pa.int32()), b=[[1.0], [2.0]])
        got = tf2spark.SavedModel(vectors).recommend(users, items, exclude="seen")
        assert pairs_of(got) == [[(1, 1.0)]]

    def test_ids_may_be_a_dictionary(self, vectors: Path) -> None:
        """Its values are the ids: of items, and in the lists."""
        users = one_user().append_column("seen", pa.array([[30]], pa.list_(pa.int64())))
        items = table(item_id=pa.array([30, 10]).dictionary_encode(), b=[[1.0], [2.0]])
        got = tf2spark.SavedModel(vectors).recommend(users, items, exclude="seen")
        assert pairs_of(got) == [[(10, 2.0)]]

    def test_of_another_type_are_refused(self, vectors: Path) -> None:
        """The message names both types."""
        users = one_user().append_column("seen", pa.array([["a"]]))
        items = table(item_id=[1], b=[[1.0]])
        with pytest.raises(ContractError, match=r'exclude: column "seen".*list<item: string>'):
            tf2spark.SavedModel(vectors).recommend(users, items, exclude="seen")


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"k": 0}, "k must be an integer of at least 1, not 0"),
            ({"user_id": "nobody"}, 'the users have no column "nobody"'),
            ({"item_id": "nothing"}, 'the items have no column "nothing"'),
            ({"exclude": "no"}, 'exclude: the users have no column "no"'),
            ({"feed": {"a": "c"}}, 'neither users nor items have a column "c"'),
            ({"feed": {"a": "x"}}, 'write feed={"a": "user:x"} or feed={"a": "item:x"}'),
            ({"feed": {"a": "user:b"}}, '"b"'),
            ({"tolerance": -1}, "tolerance must be a number of at least 0, not -1"),
            ({"mode": "loose"}, "mode can't be 'loose'"),
        ],
    )
    def test_that_are_wrong_are_one_message(
        self, vectors: Path, arguments: dict[str, Any], message: str
    ) -> None:
        """It names the argument and says what is right."""
        users = table(user_id=[1], a=[[1.0]], x=[[1.0]])
        items = table(item_id=[1], b=[[1.0]], x=[[1.0]])
        with pytest.raises(ContractError) as caught:
            tf2spark.SavedModel(vectors).recommend(users, items, **arguments)
        assert message in str(caught.value)

    def test_column_named_like_the_result_is_refused(self, vectors: Path) -> None:
        """Whatever its case, since Spark ignores that; unless it isn't kept."""
        users = one_user().append_column("Recommendations", pa.array(["x"]))
        items = table(item_id=[1], b=[[1.0]])
        model = tf2spark.SavedModel(vectors)
        with pytest.raises(ContractError, match=r"\"Recommendations\" of the users is kept"):
            model.recommend(users, items, keep=["Recommendations"])
        assert pairs_of(model.recommend(users, items)) == [[(1, 1.0)]]

    def test_several_outputs_need_a_name(self) -> None:
        """The message lists them."""
        case = recommenders.case("mmoe_ctr")
        model = tf2spark.SavedModel(path_of(case))
        with pytest.raises(ContractError, match=r'say which one ranks: score="'):
            model.recommend(case.users(2), case.items(2), feed=case.feed)

    def test_widths_that_make_no_row_are_refused(self) -> None:
        """The message has the widths of both sides."""
        case = recommenders.case("deepfm_keras")
        users, items = case.users(3), case.items(3)
        feed = {"feat_ids": ["user:features.indices"] * 9 + ["item:features.indices"]}
        with pytest.raises(ContractError, match=r'"feat_ids" takes \d+ values'):
            tf2spark.SavedModel(path_of(case)).recommend(
                users, items, feed=(case.feed or {}) | feed
            )

    @pytest.mark.parametrize("wrong", [{"k": 0, "mode": "x"}, {}])
    def test_mistakes_in_arguments_and_tables_come_at_once(self, wrong: dict[str, Any]) -> None:
        """Columns that the tables lack are in the same message, whatever else is wrong."""
        case = recommenders.case("dot")
        given: dict[str, Any] = {"user_id": "uid", "exclude": "seen", "keep": ["nam"], **wrong}
        model = tf2spark.SavedModel(path_of(case))
        with pytest.raises(ContractError) as refused:
            model.recommend(case.users(3), case.items(5), feed={"user": "usr"}, **given)
        lines = str(refused.value).splitlines()
        says = [f"- {argument}" for argument in wrong]
        says += ['- input "user"', "- the users have no", "- exclude: ", "- keep: "]
        assert lines[0] == f"{len(says)} mistakes:"
        assert all(line.startswith(text) for line, text in zip(lines[1:], says, strict=True))

    def test_wrong_columns_of_users_and_items_come_at_once(self, tmp_path: Path) -> None:
        """The sides are bound one after the other, and the first that fails names both."""
        one = tf.TensorSpec([None], tf.float32)
        save_function(tmp_path, lambda u, v, i: {"s": (u + v) * i}, one, one, one)
        tables = {
            "user": pd.DataFrame({"user_id": [1], "u": [Decimal("1.5")], "v": ["x"]}),
            "item": pd.DataFrame({"item_id": [1], "i": [Decimal("2.5")]}),
        }
        with pytest.raises(ContractError) as refused:
            tf2spark.SavedModel(tmp_path).recommend(tables["user"], tables["item"])
        first, *lines = str(refused.value).splitlines()
        assert first == "3 mistakes:"
        assert {line.split('"')[1] for line in lines} == {"u", "v", "i"}
        with pytest.raises(ContractError, match=r"^4 mistakes:\n- k must be .*(\n- input .*){3}$"):
            tf2spark.SavedModel(tmp_path).recommend(tables["user"], tables["item"], k=0)

    def test_users_and_items_of_two_kinds_are_refused(self, vectors: Path) -> None:
        """A list isn't a table."""
        with pytest.raises(ContractError, match=r"takes the items as a Spark DataFrame"):
            tf2spark.SavedModel(vectors).recommend(one_user(), [1])  # type: ignore[arg-type]


class TestPackages:
    def test_recommend_like_models(self, tmp_path: Path) -> None:
        """A compiled package gives the same recommendations."""
        case = recommenders.case("deepfm_keras")
        users, items = case.users(9), case.items(30)
        model = tf2spark.SavedModel(path_of(case))
        package = model.compile(tmp_path / "package")
        got = package.recommend(users, items, K, feed=case.feed, score=case.score)
        assert pairs_of(got) == pairs_of(recommended(case, users, items))

    def test_large_embeddings_stay_in_files(self, tmp_path: Path) -> None:
        """Tables of 32 MiB are mapped, on either side."""
        table_of = {"u": weights(1 << 17, 64, seed=1), "i": weights(1 << 17, 64, seed=2)}
        save_function(
            tmp_path / "model",
            lambda user, item: tf.reduce_sum(
                tf.gather(table_of["u"], user) * tf.gather(table_of["i"], item), 1
            ),
            tf.TensorSpec([None], tf.int64, name="user"),
            tf.TensorSpec([None], tf.int64, name="item"),
            keep=table_of,
        )
        users, items = table(user_id=[5, 99_999]), table(item_id=[3, 77, 100_000])
        feed = {"user": "user_id", "item": "item_id"}
        got = pairs_of(tf2spark.SavedModel(tmp_path / "model").recommend(users, items, feed=feed))
        scores = tf.gather(table_of["u"], [5, 99_999]) @ tf.transpose(
            tf.gather(table_of["i"], [3, 77, 100_000])
        )
        for row, want in zip(got, scores.numpy(), strict=True):
            assert dict(row) == pytest.approx(dict(zip([3, 77, 100_000], want, strict=True)), 1e-4)


def table(**columns: Any) -> pa.Table:
    """Return a table, lists of numbers as float32."""
    return pa.table(
        {
            name: pa.array(values, pa.list_(pa.float32()))
            if isinstance(values, list) and values and isinstance(values[0], list)
            else values
            for name, values in columns.items()
        }
    )


def one_user() -> pa.Table:
    """Return a user whose scores are the items' own numbers."""
    return table(user_id=[1], a=[[1.0]])


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that scores a * b, each fed lists of one number."""
    path = tmp_path_factory.mktemp("vectors") / "model"
    save_function(
        path,
        lambda a, b: tf.reduce_sum(a * b, 1),
        tf.TensorSpec([None, 1], tf.float32, name="a"),
        tf.TensorSpec([None, 1], tf.float32, name="b"),
    )
    return path
