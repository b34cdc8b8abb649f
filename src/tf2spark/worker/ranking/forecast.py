"""Forecasts how many of a user's best k are among the first items, from users that are finished."""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
from attrs import define

from tf2spark.conversion.rows import Ints

# Users to know before there is a forecast, and what remains of their weight with each new block.
_FEW_USERS, _DECAY = 64, 0.8
# Standard deviations that a forecast allows for: fewer leave more users unproven, more let more
# scores pass.
_DEVIATIONS = 3.5
# A forecast closer to k than this saves too little.
_USEFUL = 0.8


@define
class RankForecast:
    """The mean and the spread of the counts of recent users, and what they say of the next."""

    _k: int
    _users: float = 0.0
    _sum: float = 0.0
    _squares: float = 0.0

    def learn(self, counts: Ints) -> None:
        """Take in how many of the best k of each user were among the first items."""
        self._users = self._users * _DECAY + len(counts)
        self._sum = self._sum * _DECAY + float(counts.sum())
        self._squares = self._squares * _DECAY + float(np.square(counts).sum())

    def rank(self) -> int | None:
        """Return the rank among the first items that nearly every k-th best score reaches.

        It is None where too little is known, or where it is about k.
        """
        if self._users < _FEW_USERS:
            return None
        mean = self._sum / self._users
        deviation = sqrt(max(0.0, self._squares / self._users - mean * mean))
        rank = ceil(mean + _DEVIATIONS * deviation) + 1
        return rank if rank < _USEFUL * self._k else None
