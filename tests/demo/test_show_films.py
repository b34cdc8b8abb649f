from __future__ import annotations

import io

import pyarrow as pa
from rich.console import Console

from cases.ratings import entry, small_ratings
from tf2spark.demo import show_films
from tf2spark.recommend.explanation.plan import RecommendPlan


class TestShowFilms:
    def test_recommended_stand_beside_what_was_liked(self) -> None:
        """Titles keep their order and brackets; films with at least four stars are on the right."""
        console = Console(file=io.StringIO(), width=100)
        best = pa.table({"user": [1, 2], "recommendations": [[entry(2, 4.5)], [entry(3, 2)]]})
        console.print(show_films.user_table(best, small_ratings(), 1))
        assert isinstance(console.file, io.StringIO)
        lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
        assert lines == [
            "Recommended Predicted Liked Rated",
            "[Brazil] 4.50 Alien ★★★★★",
        ]

    def test_liked_are_the_best_rated_and_of_those_the_best_known(self) -> None:
        """Stars count first, then how many people rated a film; three stars are not liked."""
        rows = [(1, 1, 4.0), (1, 2, 5.0), (1, 3, 5.0), (1, 4, 3.0), (2, 3, 1.0), (2, 4, 5.0)]
        columns = map(list, zip(*rows, strict=True))
        train = pa.table(dict(zip(("user", "film", "rating"), columns, strict=True)))
        assert show_films.liked(train, 1)["film"].to_pylist() == [3, 2, 1]

    def test_says_how_recommended_films_were_rated(self) -> None:
        """Held-out ratings of recommended films are compared with all held-out ratings."""
        held_out = small_ratings().held_out
        best = pa.table({"user": [1, 2], "recommendations": [[entry(2, 4.5)], [entry(3, 2)]]})
        assert show_films.rated_after_all(best, held_out) == (
            "1 of the 2 recommendations have a held-out rating: 4.0 stars on average, against 3.0 "
            "over all held-out ratings."
        )
        assert show_films.rated_after_all(best.slice(1), held_out) == ""

    def test_model_that_runs_whole_says_why(self) -> None:
        """A plan that isn't split is a sentence with the reason."""
        plan = RecommendPlan("text", "it sorts the batch", 3, "digest", None, None)
        assert show_films.plan_text(plan) == (
            "The whole graph runs for every pair: it sorts the batch."
        )
