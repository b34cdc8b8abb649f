"""Which output ranks, and arguments that need no table to be checked."""

from __future__ import annotations

from typing import Any

import pytest

from cases.contracts import N, dense, ragged, sparse
from tf2spark.dtypes import FLOAT32, STRING
from tf2spark.errors import ContractError
from tf2spark.recommend.arguments import (
    RankingOutput,
    choose_ranking_output,
    make_arguments,
)
from tf2spark.saved_model.contract import Contract, Signature, TensorSpec


def contract_of(*outputs: TensorSpec) -> Contract:
    signature = Signature("serving_default", (), outputs, "predict")
    return Contract(
        "m", None, (("serve",),), ("serve",), (signature,), "2.21.0", 1, 0, 1, 0, (), ()
    )


SCORE, PROBS = dense(FLOAT32, N, 1, name="score"), dense(FLOAT32, N, 3, name="probs")
OPEN, CUBE = dense(FLOAT32, N, N, name="open"), dense(FLOAT32, N, 2, 2, name="cube")


class TestRankingOutput:
    @pytest.mark.parametrize(
        ("outputs", "score", "name", "column"),
        [
            ([SCORE], None, "score", None),
            ([SCORE, PROBS], "score", "score", None),
            ([SCORE, PROBS], "probs[0]", "probs", 0),
            ([SCORE, PROBS], "probs[2]", "probs", 2),
            ([OPEN], "open[7]", "open", 7),
            ([SCORE], "dense/BiasAdd:0", "dense/BiasAdd:0", None),
        ],
    )
    def test_is_the_only_one_or_the_one_named(
        self, outputs: list[TensorSpec], score: str | None, name: str, column: int | None
    ) -> None:
        """An entry in brackets is a column of its rows; raw tensors are taken as they are."""
        chosen = choose_ranking_output(contract_of(*outputs), None, score)
        assert chosen == RankingOutput(name, column)

    @pytest.mark.parametrize(
        ("outputs", "score", "message"),
        [
            ([SCORE, PROBS], None, 'has the outputs "score", "probs"; say which one ranks: score='),
            ([PROBS], None, '"probs" has 3 values per row; say which one ranks: score="probs[0]"'),
            ([PROBS], "probs[3]", 'no "probs[3]"; the last entry is score="probs[2]"'),
            ([SCORE], "score[1]", 'no "score[1]"; the last entry is score="score[0]"'),
            ([CUBE], "cube[0]", 'no "cube[0]"; write score="cube"'),
            ([ragged(N, N)], None, 'output "x" is ragged, and items are ranked by one number for'),
            ([SCORE, ragged(N, N)], "x[0]", "with score=..., or export x.to_tensor() as well"),
            ([sparse()], None, "or export tf.sparse.to_dense(x) as well"),
            ([dense(STRING, N)], None, 'output "x" has values of string, and items are ranked by'),
            ([dense(FLOAT32)], None, 'output "x" is one value per batch, and items are ranked'),
            ([SCORE], "", "score must be the name of an output"),
            ([SCORE], 3, "score must be the name of an output"),
        ],
    )
    def test_that_cannot_rank(self, outputs: list[TensorSpec], score: Any, message: str) -> None:
        """The message says what to write."""
        with pytest.raises(ContractError) as caught:
            choose_ranking_output(contract_of(*outputs), None, score)
        assert message in str(caught.value)


GIVEN: dict[str, Any] = {
    "k": 3, "user_id": "u", "item_id": "i", "exclude": None, "candidates": "c", "keep": None,
    "mode": "failfast", "error_column": None, "model_column": None, "tolerance": 0.1,
}  # fmt: skip


class TestArguments:
    def test_keep_the_user_id_first_and_once(self) -> None:
        """Whether `keep` names it or not, and if it is a single name."""
        for keep, kept in ((None, ("u",)), (["a", "u"], ("u", "a")), ("a", ("u", "a"))):
            assert make_arguments(**GIVEN | {"keep": keep}).options.keep == kept

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("k", 0),
            ("k", True),
            ("k", 2.0),
            ("user_id", None),
            ("item_id", ""),
            ("exclude", ""),
            ("candidates", ["c"]),
            ("tolerance", float("nan")),
            ("tolerance", -0.1),
        ],
    )
    def test_that_are_wrong(self, name: str, value: Any) -> None:
        """The message begins with the argument."""
        with pytest.raises(ContractError, match=f"^{name} must be"):
            make_arguments(**GIVEN | {name: value})

    def test_that_are_wrong_come_at_once(self) -> None:
        """Nobody corrects them one by one."""
        wrong = {"k": 0, "user_id": None, "exclude": 3, "tolerance": -1, "mode": "x", "keep": 5}
        with pytest.raises(ContractError, match=r"^6 mistakes:") as error:
            make_arguments(**GIVEN | wrong)
        for argument in wrong:
            assert f"- {argument} " in str(error.value)


@pytest.mark.parametrize("name", ["score", "Score"])
def test_the_item_id_is_not_called_like_the_score_beside_it(name: str) -> None:
    """Spark takes no struct with two fields of one name."""
    with pytest.raises(ContractError, match=f'can\'t be "{name}" then; rename it'):
        make_arguments(1, "user_id", name, None, None, None, "failfast")
