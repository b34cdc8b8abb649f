"""Forecasts of the score that a user's best k will reach, learned from users that are finished.

There are two: by the rank among the first items, and by the norm of what the model computes of a
user, to which the scores of inner products are proportional. What is forecast decides how many
scores are looked at, never the result.
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import Literal

import numpy as np
from attrs import define, field

from tf2spark.conversion.rows import Array, Ints

Kind = Literal["none", "rank", "norm"]

# Users to know before there is a forecast, and what remains of their weight with each new block.
_FEW_USERS, _DECAY = 64, 0.8
# Standard deviations that a forecast allows for: fewer leave more users unproven, more let more
# scores pass.
_DEVIATIONS = 3.5
# A rank closer to k than this saves too little.
_USEFUL = 0.8


@define
class Spread:
    """The mean and the standard deviation of a number over recent users."""

    users: float = 0.0
    _sum: float = 0.0
    _squares: float = 0.0

    def learn(self, values: Array) -> None:
        self.users = self.users * _DECAY + len(values)
        self._sum = self._sum * _DECAY + float(values.sum())
        self._squares = self._squares * _DECAY + float(np.square(values).sum())

    def beyond(self, deviations: float) -> float | None:
        """Return the mean and so many standard deviations; None where too little is known."""
        if self.users < _FEW_USERS:
            return None
        mean = self._sum / self.users
        return mean + deviations * sqrt(max(0.0, self._squares / self.users - mean * mean))


@define
class Forecast:
    """What recent users say of the next ones."""

    _k: int
    _ranks: Spread = field(factory=Spread)
    _ratios: Spread = field(factory=Spread)
    # What each kind of forecast has cost lately, in scores kept per user.
    _costs: dict[Kind, float] = field(factory=dict)

    def kind(self, *, norms: bool) -> Kind:
        """Return the kind of forecast that costs least, once all were tried.

        Without one, a user's bound is that of the first block.
        """
        kinds: list[Kind] = ["norm"] if norms and self.ratio() is not None else []
        if self.rank() is not None:
            kinds.append("rank")
        return min([*kinds, "none"], key=lambda kind: self._costs.get(kind, 0.0))

    def learn(self, first_counts: Ints, scores: Array, norms: Array | None) -> None:
        """Take in users who are finished.

        Args:
            first_counts: How many of each user's best k are among the first items.
            scores: Each user's k-th best score.
            norms: The users' norms.
        """
        self._ranks.learn(first_counts)
        if norms is not None:
            with np.errstate(all="ignore"):
                ratios = scores / norms
            self._ratios.learn(ratios[np.isfinite(ratios)])

    def learn_cost(self, kind: Kind, kept: float, *, failed: bool) -> None:
        """Take in what a kind of forecast has cost.

        Args:
            kind: The forecast.
            kept: How many scores a user kept, on average.
            failed: Whether users were unproven, or too many scores passed. Work done again costs
                about as much as keeping k scores more of each user.
        """
        cost = kept + failed * self._k
        self._costs[kind] = (self._costs.get(kind, cost) + cost) / 2

    def rank(self) -> int | None:
        """Return the rank among the first items that nearly every k-th best score reaches.

        It is None where too little is known, or where it is about k.
        """
        beyond = self._ranks.beyond(_DEVIATIONS)
        if beyond is None:
            return None
        rank = ceil(beyond) + 1
        return rank if rank < _USEFUL * self._k else None

    def ratio(self) -> float | None:
        """Return what nearly every k-th best score reaches when divided by the user's norm."""
        return self._ratios.beyond(-_DEVIATIONS)
