"""The plan as text, as JSON and in a notebook."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf

import tf2spark
from cases.html_page import Page
from cases.models.saving import save_function, weights
from cases.recommenders import Case, case, path_of
from tf2spark.recommend.explanation.layers import PlannedLayer
from tf2spark.recommend.explanation.plan import RecommendPlan, _check, _size_text
from tf2spark.recommend.verify import SplitCheck


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tf2spark.SavedModel:
    """A dense layer over both sides and one over the pairs: 5 + 3 -> 4 -> 1."""
    path = tmp_path_factory.mktemp("model") / "m"
    first, second = weights(8, 4, seed=1), weights(4, 1, seed=2)

    def call(u: Any, i: Any) -> Any:
        return tf.nn.relu(tf.concat([u, i], 1) @ first) @ second

    specs = [tf.TensorSpec([None, 5], name="u"), tf.TensorSpec([None, 3], name="i")]
    save_function(path, call, *specs, keep={"first": first, "second": second})
    return tf2spark.SavedModel(path)


def table(side: str, rows: int, width: int) -> pa.Table:
    vectors = [[float(row + column) for column in range(width)] for row in range(rows)]
    return pa.table({f"{side}_id": range(rows), side[0]: pa.array(vectors, pa.list_(pa.float32()))})


def without_times(plan: RecommendPlan) -> list[str]:
    """Return the lines of a plan without the measured ones, which are there."""
    lines = str(plan).splitlines()
    measured = [line for line in lines if re.match(r"(a million|all) pairs: ", line)]
    assert len(measured) == 2, lines
    return [line for line in lines if line not in measured]


def parts(line: str) -> list[str]:
    """Return the words of a line as a notebook shows them, in cells for the label and the text."""
    return line.replace(": ", " ", 1).split()


def test_a_split_plan_says_what_is_computed_how_often(model: tf2spark.SavedModel) -> None:
    """Line by line: the pairs' work, what the sides compute, memory and the check."""
    plan = model.plan(table("user", 6, 5), table("item", 200, 3))
    *lines, check = without_times(plan)
    # Per pair, the two halves of the first layer are added (4), and there are a ReLU of 4 values
    # and a product of 2 * 4 operations.
    assert lines == [
        "The graph is split.",
        "",
        "input i: item:i",
        "input u: user:u",
        "layer matmul (8 -> 4): once per user and once per item, then added",
        "layer matmul_1 (4 -> 1): for every pair",
        "",
        "per pair: 16 operations instead of 85 in the whole graph (5.3 times fewer), 36 bytes of "
        "values",
        "out of the pair loop: MatMul 8 -> 4",
        "",
        "once per user: float32 [4]",
        "once per item: float32 [4]",
        "per pair: MatMul 4 -> 1",
        "per pair: Relu, AddV2",
        "",
        "a user takes 16 bytes, an item 16; 200 items take 3 KiB (once per host)",
        "a block of 110 users x 200 items takes at most 773 KiB",
    ]
    assert check.startswith("checked against the whole graph on ")
    page = Page(plan._repr_html_())
    shown = [part for line in str(plan).split("\n") for part in parts(line)]
    assert page.text.split()[-len(shown) + 4 :] == shown[4:]
    assert "matmul_1 (4 -> 1)" in page.text
    assert plan.sizing is not None
    assert (plan.sizing.block_users, plan.sizing.block_items) == (110, 200)


def test_a_plan_speaks_of_the_layers_of_keras() -> None:
    """By the names that they have in Keras, though TensorFlow calls their scopes otherwise."""
    assert inputs_and_layers(case("keras_towers")) == [
        "input item: item:item",
        "input tags: item:tags",
        "input tastes: user:tastes",
        "input user: user:user",
        "layer embedding: once per user",
        "layer dense_1 (17 -> 24): once per user",
        "layer dense (24 -> 12): once per user",
        "layer embedding_1: once per item",
        "layer dense_3 (19 -> 24): once per item",
        "layer dense_2 (24 -> 12): once per item",
        "layer dot_1 (12 -> 1): for every pair",
        "layer dense_4 (1 -> 1): for every pair",
    ]


def test_a_plan_speaks_of_the_scopes_of_tf1() -> None:
    """A variable without a scope stands for what reads it."""
    assert inputs_and_layers(case("deepfm_tf1")) == [
        "input feat_ids: [user:features.indices, item:features.indices]",
        "input feat_vals: [user:features.values, item:features.values]",
        "layer fm_w: once per user and once per item",
        "layer fm_v: once per user and once per item",
        "layer deep0 (42 -> 24): once per user and once per item, then added",
        "layer deep1 (24 -> 12): for every pair",
        "layer deep_out (12 -> 1): for every pair",
    ]


def inputs_and_layers(recommender: Case) -> list[str]:
    model: Any = tf2spark.SavedModel(path_of(recommender))
    tables = recommender.users(20), recommender.items(30)
    plan = model.plan(*tables, feed=recommender.feed, score=recommender.score)
    return str(plan).split("\n\n")[1].splitlines()


def test_a_plan_has_stable_keys_in_json(model: tf2spark.SavedModel) -> None:
    """Those that docs/recommend.md lists."""
    plan = json.loads(model.plan(table("user", 6, 5), table("item", 200, 3)).to_json())
    page = (Path(__file__).parents[3] / "docs" / "recommend.md").read_text()
    listed = page.split("## The plan as JSON")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)`", listed, re.MULTILINE)) == set(plan)
    assert plan["layers"][0] == {
        "name": "matmul",
        "op": "MatMul",
        "size_in": 8,
        "size_out": 4,
        "computed": "added",
        "pair_ops": [],
        "flops": 64,
    }
    assert plan["inputs"] == [{"name": "i", "feed": "item:i"}, {"name": "u", "feed": "user:u"}]
    assert (plan["cost"]["users"], plan["cost"]["cores"]) == (6, 1)


def test_a_whole_plan_says_why(tmp_path: Path) -> None:
    """In two lines."""
    save_function(
        tmp_path / "m",
        lambda u, i: tf.nn.softmax(tf.reshape(tf.reduce_sum(u, 1) * tf.reduce_sum(i, 1), [-1])),
        tf.TensorSpec([None, 5], tf.float32, name="u"),
        tf.TensorSpec([None, 3], tf.float32, name="i"),
    )
    plan = tf2spark.SavedModel(tmp_path / "m").plan(table("user", 2, 5), table("item", 2000, 3))
    first, second = without_times(plan)
    assert first == "The whole graph runs, one user against all 2,000 items at a time."
    assert second == f"It isn't split: {plan.why_whole}."
    assert "Softmax" in second
    assert "svg" not in {tag for tag, _ in Page(plan._repr_html_()).tags}


def test_names_in_a_plan_can_t_become_markup() -> None:
    """A notebook shows names of the graph as text."""
    name = "<img src=x onerror=alert(1)>"
    text = f"It isn't split: {name}.\n\nper pair: {name}\n{name}"
    layers = (PlannedLayer(name, "MatMul", 8, 4, "pair", (), 64),)
    page = Page(RecommendPlan(text, name, 3, "digest", None, None, layers=layers)._repr_html_())
    tags = {tag for tag, _ in page.tags}
    assert tags == {"div", "style", "p", "table", "tr", "td", "svg", "rect", "text", "path"}
    assert page.text.count(name) == 4


@pytest.mark.parametrize("feed", [("age",), ("age", "price")], ids=["users", "both"])
def test_a_model_that_parses_examples_of_both_sides_runs_whole(
    tmp_path: Path, feed: tuple[str, ...]
) -> None:
    """Examples of one side are parsed once per user; either way, pairs have their scores."""
    features = {
        "age": tf.io.FixedLenFeature([], tf.float32),
        "price": tf.io.FixedLenFeature([], tf.float32, 3.0),
    }

    def call(examples: Any, weight: Any) -> Any:
        parsed = tf.io.parse_example(examples, features)
        return {"y": parsed["age"] * parsed["price"] + weight}

    specs = [tf.TensorSpec([None], tf.string, "examples"), tf.TensorSpec([None], name="weight")]
    save_function(tmp_path / "m", call, *specs)
    model = tf2spark.SavedModel(tmp_path / "m")
    users = pa.table({"user_id": [1, 2], "age": [1.0, 10.0]})
    items = pa.table({"item_id": [5, 6], "price": [4.0, 1.0], "weight": [1.0, 20.0]})
    arguments: Any = {"feed": {"examples": tf2spark.example(*feed)}}
    lists = model.recommend(users, items, **arguments)["recommendations"].to_pylist()
    prices = (4.0, 1.0) if "price" in feed else (3.0, 3.0)
    for age, ranked in zip((1.0, 10.0), lists, strict=True):
        scores = {5: age * prices[0] + 1.0, 6: age * prices[1] + 20.0}
        assert [(each["item_id"], each["score"]) for each in ranked] == sorted(
            scores.items(), key=lambda entry: -entry[1]
        )
    plan = model.plan(users, items, **arguments)
    why = "takes users and items packed into one tf.Example" if len(feed) > 1 else "None"
    assert why in str(plan.why_whole)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1024, "1 KiB"), (5 << 20, "5 MiB"),
     (3 << 30, "3 GiB"), (5000 << 30, "5,000 GiB")],
)  # fmt: skip
def test_sizes_have_a_fitting_unit(size_bytes: int, text: str) -> None:
    """GiB at most."""
    assert _size_text(size_bytes) == text


def test_a_check_without_pairs_says_so() -> None:
    """Otherwise it has the difference and the tolerance."""
    assert _check(None).startswith("not checked")
    assert _check(SplitCheck(12, 0.00012, 0.001)) == (
        "checked against the whole graph on 12 pairs: largest difference 1.2e-04 (tolerance 0.001)"
    )
