from __future__ import annotations

import tracemalloc
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from tf2spark.conversion.casts import from_bfloat16, to_bfloat16
from tf2spark.conversion.rows import Array
from tf2spark.worker.ranking.rivals import Entries
from tf2spark.worker.ranking.top_k import TopK

Best = list[list[tuple[int, float]]]
INF, NAN = np.inf, np.nan


@frozen
class Call:
    """Scores [users, items], and (user, position) pairs that are excluded or the only allowed."""

    scores: Array
    k: int
    excluded: frozenset[tuple[int, int]] = frozenset()
    only: frozenset[tuple[int, int]] | None = None
    restricted: Array | None = None


def best_of(call: Call) -> tuple[Best, list[int]]:
    """Return the expected result: all that a user may get, sorted by (-score, position)."""
    best, nans = [], []
    for user, row in enumerate(call.scores.tolist()):
        free = call.only is None or (call.restricted is not None and not call.restricted[user])
        may = [
            (position, score)
            for position, score in enumerate(row)
            if (free or (user, position) in call.only) and (user, position) not in call.excluded  # type: ignore[operator]
        ]
        nans.append(next((position for position, score in may if score != score), -1))
        order = sorted((-score, position, score) for position, score in may if score > -INF)
        best.append([] if nans[-1] >= 0 else [(p, s) for _, p, s in order[: call.k]])
    return best, nans


def run(
    call: Call, cuts: list[int] | None = None, positions: Array | None = None
) -> tuple[Best, list[int]]:
    """Return the result of TopK over blocks that end at these cuts."""
    top = TopK(len(call.scores), call.k, call.scores.dtype, positions)
    add_blocks(top, call, cuts)
    return listed(top), top.nan_positions().tolist()


def add_blocks(top: TopK, call: Call, cuts: list[int] | None = None) -> None:
    items = call.scores.shape[1]
    for start, stop in pairwise([0, *(cuts or []), items]):
        block = np.ascontiguousarray(call.scores[:, start:stop])
        block.flags.writeable = False
        excluded = block_entries(call.excluded, start, stop) if call.excluded else None
        only = None if call.only is None else block_entries(call.only, start, stop)
        top.add(block, start, excluded, only, call.restricted)


def block_entries(pairs: frozenset[tuple[int, int]], start: int, stop: int) -> Entries:
    """Return the pairs of a block as entries, out of order and each of them twice."""
    inside = [(user, position - start) for user, position in pairs if start <= position < stop] * 2
    array = np.array(inside, np.int64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def listed(top: TopK) -> Best:
    counts, positions, scores = top.result()
    flat = list(zip(positions.tolist(), scores.tolist(), strict=True))
    ends = np.cumsum(counts).tolist()
    assert (ends[-1] if ends else 0) == len(flat)
    return [flat[end - count : end] for end, count in zip(ends, counts.tolist(), strict=True)]


KINDS = [
    "normal",
    "equal",
    "rising",
    "falling",
    "few values",
    "special",
    "nan",
    "all nan",
    "tops",
    "one equal",
]


def scores_of(kind: str, random: np.random.Generator, shape: tuple[int, int]) -> Array:
    normal = random.standard_normal(shape)
    special = random.choice([-0.0, 0.0, 1e-45, INF, -INF, 3.4e38, -3.4e38, 1.0], shape)
    match kind:
        case "equal":
            return np.zeros(shape)
        case "rising" | "falling":
            return np.sort(normal, axis=1)[:, :: 1 if kind == "rising" else -1]
        case "few values":
            return np.round(normal)
        case "special":
            return special
        case "nan":
            return np.where(random.random(shape) < 1 / max(1, shape[1]), NAN, special)
        case "all nan":
            return np.where(random.random((shape[0], 1)) < 0.5, NAN, normal)
        case "one equal":
            normal[:1] = 1
            return normal
        case "tops":  # many of one user's best, all in a few groups
            normal[:1, ::64] += 9
            return normal
    return normal


@st.composite
def calls(draw: st.DrawFn) -> tuple[Call, list[int]]:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    users, items = draw(st.integers(0, 5)), draw(st.integers(0, 900))
    k = draw(st.sampled_from([1, 2, 3, 10, 100, 1000]))
    scores = scores_of(draw(st.sampled_from(KINDS)), random, (users, items))
    if draw(st.booleans()):  # another kind for the second half, so that bounds are moved
        other = scores_of(draw(st.sampled_from(KINDS)), random, (users, items))
        scores[:, items // 2 :] = other[:, items // 2 :]
    with np.errstate(over="ignore"):
        scores = scores.astype(draw(st.sampled_from([np.float32, np.float64])))
    shares = st.sampled_from([0.0, 0.002, 0.1, 0.9])
    excluded = pairs_of(random.random(scores.shape) < draw(shares))
    if draw(st.booleans()):  # the very best, as when people have seen what they like
        excluded |= pairs_of(scores > np.sort(scores)[:, -20:-19] if items > 20 else scores > 0)
    only = pairs_of(random.random(scores.shape) < draw(shares)) if draw(st.booleans()) else None
    restricted = random.random(users) < 0.5 if draw(st.booleans()) else None
    cuts = sorted(draw(st.lists(st.integers(0, items), max_size=4)))
    return Call(scores, k, excluded, only, restricted), cuts


def pairs_of(mask: Array) -> frozenset[tuple[int, int]]:
    return frozenset(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))


@given(calls())
@settings(max_examples=400, deadline=None)
def test_any_call_gives_what_sorting_everything_gives(drawn: tuple[Call, list[int]]) -> None:
    """Whatever the scores, exclusions and restrictions are, and however the catalog is cut."""
    call, cuts = drawn
    assert run(call, cuts) == best_of(call)


@given(calls())
@settings(max_examples=100, deadline=None)
def test_bits_of_bfloat16_rank_as_their_numbers_do(drawn: tuple[Call, list[int]]) -> None:
    """Those below zero, and -0.0, count as -inf."""
    call, cuts = drawn
    bits = to_bfloat16(np.nan_to_num(call.scores, nan=1.0)).view(np.int16)
    numbers = from_bfloat16(bits)
    ranked = run(evolve(call, scores=bits), cuts)[0]
    expected, _ = best_of(evolve(call, scores=np.where(bits < 0, -INF, numbers)))
    for row, best in zip(ranked, expected, strict=True):
        scores = from_bfloat16(np.array([score for _, score in row], np.int16)).tolist()
        assert list(zip([position for position, _ in row], scores, strict=True)) == best


@given(calls(), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_items_may_come_in_any_order(drawn: tuple[Call, list[int]], seed: int) -> None:
    """With the positions of the items at hand, ties still go to the smaller one."""
    call, cuts = drawn
    order = np.random.default_rng(seed).permutation(call.scores.shape[1])
    column = np.argsort(order).tolist()
    columns = [None if pairs is None else frozenset((user, column[p]) for user, p in pairs)
               for pairs in (call.excluded, call.only)]  # fmt: skip
    shuffled = Call(call.scores[:, order], call.k, columns[0] or frozenset(), columns[1],
                    call.restricted)  # fmt: skip
    assert run(shuffled, cuts, order) == best_of(call)


@given(calls())
@settings(max_examples=100, deadline=None)
def test_a_forecast_is_right_or_its_users_are_unproven(drawn: tuple[Call, list[int]]) -> None:
    """Users who aren't unproven get what sorting everything gives, whatever was forecast."""
    call, cuts = drawn
    top = TopK(0, call.k, call.scores.dtype)
    for rank in (1, max(1, call.k // 4), None):
        top.restart(len(call.scores))
        top._rank, top._in_order = rank, False
        if rank is None:
            top._hoped = top._limit = np.full(len(call.scores), 0.5, call.scores.dtype)
        add_blocks(top, call, cuts)
        best, nans = best_of(call)
        proven = ~top.unproven()
        assert [row for row, is_proven in zip(listed(top), proven, strict=True) if is_proven] == [
            row for row, is_proven in zip(best, proven, strict=True) if is_proven
        ]
        assert top.nan_positions().tolist() == nans


@pytest.mark.parametrize("by_norm", [False, True])
def test_a_forecast_is_learned_from_the_users_before(by_norm: bool) -> None:
    """Most users then keep far fewer scores than k for each block, and few are unproven."""
    top, random = TopK(0, 50, np.float32), np.random.default_rng(5)
    norms = random.uniform(1, 9, 100).astype(np.float32)
    kept, unproven = [], 0
    for _ in range(4):
        scores = random.standard_normal((100, 4000)).astype(np.float32) * norms[:, None]
        top.restart(100, forecast=True, norms=norms if by_norm else None)
        for first in range(0, 4000, 1000):
            top.add(scores[:, first : first + 1000], first)
        kept.append(float(top._counts.mean()) + top._merged.shape[1])
        unproven += int(top.unproven().sum())
        expected = best_of(Call(scores, 50))[0]
        proven = ~top.unproven()
        assert [row for row, ok in zip(listed(top), proven, strict=True) if ok] == [
            row for row, ok in zip(expected, proven, strict=True) if ok
        ]
    assert kept[-1] < 50 * 2.5
    assert unproven < 10


@given(calls(), st.data())
@settings(max_examples=50, deadline=None)
def test_users_are_independent(drawn: tuple[Call, list[int]], data: st.DataObject) -> None:
    """A user's items are the same alone as in any block of users."""
    call, cuts = drawn
    if not len(call.scores):
        return
    user = data.draw(st.integers(0, len(call.scores) - 1))
    alone = Call(
        call.scores[user : user + 1],
        call.k,
        frozenset((0, position) for row, position in call.excluded if row == user),
        None if call.only is None else frozenset((0, p) for row, p in call.only if row == user),
        None if call.restricted is None else call.restricted[user : user + 1],
    )
    best, nans = run(call, cuts)
    assert run(alone, cuts) == (best[user : user + 1], nans[user : user + 1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [4096, 1000, 7000])
def test_large_blocks_give_what_sorting_everything_gives(kind: str, width: int) -> None:
    """At the size of real catalogs, where groups, folds and halves all play a part."""
    scores = scores_of(kind, np.random.default_rng(1), (6, 7000)).astype(np.float32)
    for k in (10, 100):
        assert run(Call(scores, k), list(range(width, 7000, width))) == best_of(Call(scores, k))


@pytest.mark.parametrize("seen", [30, 300, 2000, 4900])
@pytest.mark.parametrize("users", [3, 160])
def test_those_who_have_seen_the_best_get_the_next(seen: int, users: int) -> None:
    """However many of a user's best are excluded, and far more for one user than for others."""
    scores = np.random.default_rng(2).standard_normal((users, 5000)).astype(np.float32)
    order = np.argsort(-scores, axis=1).tolist()
    excluded = {(user, position) for user in range(users) for position in order[user][:5]}
    excluded |= {(1, position) for position in order[1][:seen]}
    best, _ = run(Call(scores, 20, frozenset(excluded)))
    assert [position for position, _ in best[1]] == order[1][seen : seen + 20]
    assert [position for position, _ in best[2]] == order[2][5:25]


def one_row(*scores: float, k: int = 9, dtype: Any = np.float32, **rest: Any) -> TopK:
    top = TopK(1, k, dtype)
    top.add(np.array([scores], dtype), 0, **rest)
    return top


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zeros_tie_and_infinities_are_scores_but_for_minus_infinity(dtype: Any) -> None:
    """-0.0 ties with 0.0 and comes out as 0.0, +inf is the best, -inf is never returned."""
    got = listed(one_row(-0.0, 0.0, -INF, INF, -1.0, -0.0, dtype=dtype))
    assert got == [[(3, INF), (0, 0.0), (1, 0.0), (5, 0.0), (4, -1.0)]]
    assert not np.signbit(one_row(-0.0, dtype=dtype).result()[2]).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_come_out_bit_by_bit(dtype: Any) -> None:
    """From the largest to the smallest, denormal ones too, in the dtype that was given."""
    limits = np.finfo(dtype)
    given = [limits.max, 1.0, limits.smallest_subnormal, -limits.smallest_subnormal, limits.min]
    scores = one_row(*given[::-1], dtype=dtype).result()[2]
    assert scores.dtype == dtype
    assert scores.tolist() == [float(x) for x in given]


def test_minus_infinity_is_not_returned_where_places_are_left() -> None:
    """Not even later, to a user with fewer than k items while others have more."""
    top = TopK(2, 3, np.float32)
    first = np.arange(40, dtype=np.float32).reshape(2, 20)
    first[0, 1:] = -INF
    top.add(first, 0)
    top.add(np.full((2, 20), -INF, np.float32), 20)
    assert listed(top) == [[(0, 0.0)], [(19, 39.0), (18, 38.0), (17, 37.0)]]


def test_a_nan_fails_its_user_alone() -> None:
    """Its first position is reported, the user gets nothing, and the others get everything."""
    top = TopK(3, 2, np.float32)
    top.add(np.array([[1, 2], [NAN, 1], [3, 4]], np.float32), 0)
    top.add(np.array([[NAN, NAN], [NAN, 9], [5, 1]], np.float32), 2)
    assert top.nan_positions().tolist() == [2, 0, -1]
    assert listed(top) == [[], [], [(2, 5.0), (1, 4.0)]]


def test_a_nan_far_below_the_best_is_seen() -> None:
    """It is found in a block of which nothing else could be returned."""
    top = TopK(1, 1, np.float32)
    top.add(np.array([[INF]], np.float32), 0)
    top.add(np.array([[0.0] * 500 + [NAN] + [0.0] * 500], np.float32), 1)
    assert top.nan_positions().tolist() == [501]


def test_a_nan_that_nobody_could_get_does_not_count() -> None:
    """It is excluded, or not among the only allowed positions."""
    zero = np.zeros(1, np.int64)
    assert listed(one_row(NAN, 1.0, excluded=(zero, zero))) == [[(1, 1.0)]]
    assert listed(one_row(1.0, NAN, only=(zero, zero))) == [[(0, 1.0)]]


def test_only_applies_to_restricted_users() -> None:
    """A restricted user without an entry gets nothing, an unrestricted one everything."""
    top = TopK(3, 2, np.float32)
    only = np.array([0]), np.array([1])
    scores = np.array([[9, 1, 2]] * 3, np.float32)
    top.add(scores, 0, only=only, restricted=np.array([True, True, False]))
    assert listed(top) == [[(1, 1.0)], [], [(0, 9.0), (2, 2.0)]]


def test_places_may_have_gaps_and_reach_four_billion() -> None:
    """Positions are what the caller says, up to 32 bits."""
    top = TopK(1, 3, np.float32)
    for first in (7, 2**31, 2**32 - 1):
        top.add(np.array([[1.0]], np.float32), first)
    assert listed(top) == [[(7, 1.0), (2**31, 1.0), (2**32 - 1, 1.0)]]


def test_result_can_be_read_at_any_time() -> None:
    """Before the first block, between blocks and twice."""
    top = TopK(2, 1, np.float32)
    assert listed(top) == [[], []]
    top.add(np.array([[1, 2], [4, 3]], np.float32), 0)
    assert listed(top) == listed(top) == [[(1, 2.0)], [(0, 4.0)]]
    top.add(np.array([[5], [1]], np.float32), 2)
    assert listed(top) == [[(2, 5.0)], [(0, 4.0)]]


def test_results_have_the_types_that_are_promised() -> None:
    """Counts and positions are int64 and scores keep their dtype, also where there are none."""
    for top in (TopK(0, 5, np.float64), one_row(1.0, dtype=np.float64)):
        assert [array.dtype for array in top.result()] == [np.int64, np.int64, np.float64]


@pytest.mark.parametrize("kind", KINDS)
def test_memory_stays_below_the_block_s_own(kind: str) -> None:
    """Filtering takes less memory than half a block, even where all scores are equal."""
    scores = scores_of(kind, np.random.default_rng(3), (64, 8000)).astype(np.float32)
    tracemalloc.start()
    top = TopK(64, 10, np.float32)
    top.add(scores, 0)
    top.result()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < scores.nbytes / 2


@pytest.mark.parametrize("kind", ["normal", "equal", "rising"])
def test_memory_does_not_grow_with_the_catalog(kind: str) -> None:
    """Only a few keys per returned item are kept, however many blocks have passed by."""
    top, random = TopK(16, 10, np.float32), np.random.default_rng(4)
    tracemalloc.start()
    for block in range(60):
        top.add(scores_of(kind, random, (16, 500)).astype(np.float32) + block, block * 500)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 16 * 10 * 8 * 20


def test_numpy_s_buffer_is_left_as_it_was() -> None:
    """The comparison changes it for itself, and restores it."""
    before = np.setbufsize(4096)
    try:
        one_row(1.0)
        assert np.getbufsize() == 4096
    finally:
        np.setbufsize(before)


@pytest.mark.parametrize(
    ("scores", "first", "message"),
    [
        (np.zeros((2, 3)), 0, "scores must be float32 [2, n], not float64 [2, 3]"),
        (np.zeros((3, 3), np.float32), 0, "scores must be float32 [2, n], not float32 [3, 3]"),
        (np.zeros(2, np.float32), 0, "scores must be float32 [2, n], not float32 [2]"),
        (
            np.zeros((2, 3), np.float32),
            -1,
            "a block at position -1 follows one that ends at position 0",
        ),
        (np.zeros((2, 3), np.float32), 2**32, "a catalog has at most 2**32 items"),
    ],
)
def test_what_does_not_fit_is_refused(scores: Array, first: int, message: str) -> None:
    """The message says what was expected and what was given."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        TopK(2, 1, np.float32).add(scores, first)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("k", "dtype", "message"),
    [
        (0, np.float32, "k must be at least 1, not 0"),
        (1, np.int32, "scores must be float32, float64 or int16, not int32"),
    ],
)
def test_what_cannot_be_kept_is_refused(k: int, dtype: Any, message: str) -> None:
    """Before the first block."""
    with pytest.raises(ValueError, match=message):
        TopK(1, k, dtype)
