"""A few ratings and predictions for tests of what the demo shows."""

from __future__ import annotations

import pyarrow as pa

from tf2spark.demo import data


def entry(film: int, score: float) -> dict[str, float]:
    """Return an entry of a list of recommendations."""
    return {"film": film, "score": score}


def small_ratings() -> data.Ratings:
    """Return ratings of three users and films: user 1 liked Alien but not Cube.

    User 3 has no training rating.
    """
    columns = ["user", "film", "title", "year", "genres", "age", "gender", "occupation", "rating"]
    films = {
        1: ("Alien", 1979, [0.0, 1.0]),
        2: ("[Brazil]", 1985, [1.0, 0.0]),
        3: ("Cube", 1997, [0.0, 1.0]),
    }
    users = {1: (30, "F", "artist"), 2: (40, "M", "other"), 3: (50, "M", "writer")}

    def table(*rated: tuple[int, int, float]) -> pa.Table:
        rows = [(user, film, *films[film], *users[user], stars) for user, film, stars in rated]
        values = dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
        return pa.table({**values, "user": pa.array(values["user"], pa.int32())})

    return data.Ratings(
        table((2, 1, 2.0), (1, 3, 3.0), (1, 1, 5.0)), table((1, 2, 4.0), (3, 1, 2.0))
    )


def scored_table() -> pa.Table:
    """Return five predictions: Alien is off by 2 stars, [Brazil] by half a star, Cube by 4."""
    columns = ["user", "film", "title", "year", "age", "gender", "occupation"]
    columns += ["rating", "predicted"]
    user_1, user_2 = (30, "F", "artist"), (40, "M", "other")
    rows = [
        (1, 1, "Alien", 1979, *user_1, 5.0, 3.0),
        (2, 1, "Alien", 1979, *user_2, 1.0, 3.0),
        (1, 2, "[Brazil]", 1985, *user_1, 5.0, 4.5),
        (2, 2, "[Brazil]", 1985, *user_2, 4.0, 4.5),
        (1, 3, "Cube", 1997, *user_1, 5.0, 1.0),
    ]
    return pa.table(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)))
