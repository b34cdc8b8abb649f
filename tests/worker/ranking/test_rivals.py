"""Scores that reach a bound are found as NumPy finds them, whatever the block's shape."""

from __future__ import annotations

import numpy as np
import pytest

from tf2spark.worker.ranking.rivals import Entries, RivalFinder, sparse_nonzero

_SHAPES = [(1, 1), (3, 7), (64, 64), (700, 1003), (9, 300_001), (1025, 256)]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("size", [0, 1, 7, 64, 5000, 4097])
def test_flags_are_found_as_numpy_finds_them(share: float, size: int) -> None:
    """However many there are, and however many of them are set."""
    flags = np.random.default_rng(6).random(size) < share
    assert sparse_nonzero(flags).tolist() == np.flatnonzero(flags).tolist()


@pytest.mark.parametrize("worse", [np.less, np.less_equal])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.2])
def test_scores_that_are_not_worse_are_found(worse: np.ufunc, share: float) -> None:
    """One finder serves blocks of all shapes, with NaNs, excluded entries and skipped users."""
    random, finder = np.random.default_rng(8), RivalFinder()
    for users, width in _SHAPES:
        scores = random.random((users, width), np.float32)
        scores[random.random((users, width)) < 0.001] = np.nan
        bound = np.full(users, 1 - share, np.float32)
        is_skipped = random.random(users) < 0.1
        rows, columns = random.integers(users, size=50), random.integers(width, size=50)
        entries: Entries = (rows, columns)
        for skipped in ((np.zeros(users, np.bool_), None), (is_skipped, entries)):
            rival = ~worse(scores, bound[:, None])
            if skipped[1] is not None:
                rival[skipped[1]] = False
            rival[skipped[0]] = False
            result = finder.find(scores, bound, worse, skipped, width)
            assert result is not None
            assert np.array_equal(result[0], np.flatnonzero(rival))
            assert np.array_equal(result[1], rival.sum(axis=1))


def test_too_many_scores_of_a_user_are_not_found() -> None:
    """A user has at most as many as asked for."""
    scores = np.array([[0, 1, 1], [0, 0, 1]], np.float32)
    bound, nobody = np.ones(2, np.float32), np.zeros(2, np.bool_)
    assert RivalFinder().find(scores, bound, np.less, (nobody, None), 1) is None
    assert RivalFinder().find(scores, bound, np.less, (nobody, None), 2) is not None
