from __future__ import annotations

import pytest

from tf2spark.tensorflow_c.failure import TensorFlowFailure, readable


@pytest.mark.parametrize(
    ("code", "row_caused"),
    [
        (3, True),
        (11, True),
        (15, True),
        (1, False),
        (5, False),
        (8, False),
        (9, False),
        (13, False),
    ],
)
def test_row_caused_separates_bad_values_from_the_rest(code: int, row_caused: bool) -> None:
    """Only for codes that kernels return for bad values are rows tried one by one."""
    assert TensorFlowFailure(code, "").row_caused is row_caused


def test_a_constant_that_can_t_be_made_is_no_row_s_fault() -> None:
    """A constant too large for the memory fails in every run, after seconds each."""
    message = "Cannot parse tensor from proto: dtype: DT_FLOAT"
    assert not TensorFlowFailure(3, message).row_caused


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("plain", "plain"),
        ("", "no message"),
        (
            "indices[0] = -5 is not in [0, 2)\n\t [[{{function_node __inference_g_201}}"
            "{{node user/GatherV2}}]]",
            "indices[0] = -5 is not in [0, 2) (node user/GatherV2)",
        ),
        (
            "2 root error(s) found.\n  (0) INVALID_ARGUMENT: Cut off.\n\t [[{{node a/b}}]]\n\t "
            "[[a/c/_5]]\n  (1) INVALID_ARGUMENT: Cut off.\n\t [[{{node a/b}}]]\n"
            "0 successful operations.\n0 derived errors ignored.",
            "Cut off. (node a/b)",
        ),
        (
            "OOM when allocating\n\t [[{{node m}}]]\nHint: If you want to see a list of allocated "
            "tensors when OOM happens, add report_tensor_allocations_upon_oom to RunOptions.\n",
            "OOM when allocating (node m)",
        ),
        ("assertion failed: [a] [x = ] [[1 2][3 4]]", "assertion failed: [a] [x = ] [[1 2][3 4]]"),
    ],
)
def test_readable_keeps_the_reason_and_the_node(message: str, expected: str) -> None:
    """An error message keeps its reason and the failing node, and loses the rest."""
    assert readable(message) == expected
