from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from cases.ratings import scored_table
from tf2spark.demo import show


class TestShow:
    def test_film_means_fall_back_to_the_mean_of_all(self) -> None:
        """A film with training ratings gets their mean, an unknown one the overall mean."""
        train = pa.table({"film": [1, 1, 2], "rating": [1.0, 2.0, 6.0]})
        means = show.film_means(train, pa.chunked_array([[2, 3, 1]]))
        np.testing.assert_allclose(means, [6.0, 3.0, 1.5])

    def test_rmse_is_the_root_of_the_mean_square(self) -> None:
        """Errors of 3 and 4 have a root mean square of sqrt(12.5)."""
        assert show.rmse(np.array([3.0, 4.0]), np.zeros(2)) == pytest.approx(12.5**0.5)

    def test_furthest_off_names_the_film_missed_by_most(self) -> None:
        """Films are ordered by their mean error; those with few ratings don't count."""
        assert show.furthest_off(scored_table(), at_least=2) == (
            "Largest errors, in stars: Alien (2.0), [Brazil] (0.5)"
        )
        assert show.furthest_off(scored_table(), at_least=3) == ""

    def test_users_table_lists_films_best_first(self) -> None:
        """Films are ordered by their predictions, and brackets in a title are kept."""
        console = Console(file=io.StringIO(), width=100)
        console.print(show.users_table(scored_table(), seed=0))
        assert isinstance(console.file, io.StringIO)
        lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
        of_one = lines[lines.index("User 1: woman, 30, artist") + 1 :][:3]
        assert of_one == [
            "[Brazil] 1985 4.5 ★★★★★",
            "Alien 1979 3.0 ★★★★★",
            "Cube 1997 1.0 ★★★★★",
        ]
