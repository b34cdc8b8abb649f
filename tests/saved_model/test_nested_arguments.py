"""Inputs that TF2 took out of nested arguments: their names alone don't say which is which."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
import tensorflow as tf

import tf2spark
from cases.models import case, path_of
from cases.models.saving import save_function
from tf2spark.errors import ContractError


def floats() -> Any:
    return tf.TensorSpec([None], tf.float32)


class Pair(NamedTuple):
    first: Any
    second: Any


def of_dict(features: Any) -> dict[str, Any]:
    return {"y": features["user"] * 2.0 + features["item"]}


def of_list(x: Any) -> dict[str, Any]:
    return {"y": x[1]["b"] * 2.0 + x[0]}


def of_pair(pair: Any) -> dict[str, Any]:
    return {"y": pair.second * 2.0 + pair.first}


@pytest.mark.parametrize(
    ("call", "spec", "name", "first", "second"),
    [
        (
            of_dict,
            {"user": floats(), "item": floats()},
            "features",
            'features["item"]',
            'features["user"]',
        ),
        (of_list, [floats(), {"b": floats()}], "x", "x[0]", 'x[1]["b"]'),
        (of_pair, Pair(floats(), floats()), "pair", 'pair["first"]', 'pair["second"]'),
    ],
)
def test_places_in_the_argument_are_shown(
    tmp_path: Path, call: Any, spec: Any, name: str, first: str, second: str
) -> None:
    """The contract and the messages have them, and a run shows that they are right."""
    save_function(tmp_path / "m", call, spec)
    model = tf2spark.SavedModel(tmp_path / "m")
    (signature,) = model.contract.signatures
    assert [(each.name, each.argument) for each in signature.inputs] == [
        (name, first),
        (f"{name}_1", second),
    ]
    assert f"serving_default_{name}_1:0 ({second})" in str(model.contract)
    table = pa.table({"a": [1.0], "b": [10.0]})
    with pytest.raises(ContractError) as refused:
        model.score(table)
    assert f'input "{name}_1" (float32 [None], {second})' in str(refused.value)
    scored = model.score(table, feed={name: "a", f"{name}_1": "b"}, keep=[])
    assert scored["y"].to_pylist() == [21.0]


def test_plain_arguments_have_no_place(tmp_path: Path) -> None:
    """Nothing is added to what they are called; sparse and ragged ones are reassembled as ever."""

    def call(x: Any, words: Any, more: Any) -> dict[str, Any]:
        return {"y": x + words.to_tensor()[:, 0] + more[0]}

    ragged = tf.RaggedTensorSpec([None, None], tf.float32)
    save_function(tmp_path / "m", call, floats(), ragged, (floats(),))
    (signature,) = tf2spark.SavedModel(tmp_path / "m").contract.signatures
    assert [(spec.name, spec.kind, spec.argument) for spec in signature.inputs] == [
        ("more", "dense", "more[0]"),
        ("words", "ragged", ""),
        ("x", "dense", ""),
    ]


def test_inputs_that_the_user_named_have_no_place() -> None:
    """A Keras model with several inputs has them in one list, which nobody has to know."""
    (signature,) = (
        signature
        for signature in tf2spark.SavedModel(path_of(case("keras_lookups"))).contract.signatures
        if signature.name == "serving_default"
    )
    assert [(spec.name, spec.argument) for spec in signature.inputs] == [("city", ""), ("year", "")]


def test_places_are_in_the_json_of_a_contract(tmp_path: Path) -> None:
    """Those of nested arguments alone."""
    from tf2spark.saved_model.contract_text import as_json

    save_function(tmp_path / "m", of_list, [floats(), {"b": floats()}])
    contract = tf2spark.SavedModel(tmp_path / "m").contract
    inputs = json.loads(json.dumps(as_json(contract)))["signatures"]["serving_default"]["inputs"]
    assert {name: tensor["argument"] for name, tensor in inputs.items()} == {
        "x": "x[0]",
        "x_1": 'x[1]["b"]',
    }
