"""What the demo shows of its recommendations: some users' films, and the plan in short."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tf2spark.demo.data import Ratings
from tf2spark.demo.show import person, stars_text
from tf2spark.recommend.explanation.plan import RecommendPlan
from tf2spark.shown_text import shown

# Two columns of titles share the remaining width.
_OTHER_COLUMNS_CELLS = 22
_LIKED_STARS = 4


def show_recommended(
    console: Console,
    recommended: pa.Table,
    ratings: Ratings,
    users: Sequence[int],
    plan: RecommendPlan,
) -> None:
    """Print some users' recommendations next to films they liked, and the plan in short.

    Args:
        console: Where to write.
        recommended: The result of `SavedModel.recommend`: `user`, and `recommendations`, lists of
            (film, score).
        ratings: All ratings; those of `train` are what the users have seen.
        users: The users to show.
        plan: How the recommendations were computed.
    """
    console.print("[bold]The best films that they haven't seen, next to films they liked[/]")
    for user in users:
        console.print(Text(_name(ratings, user), "bold"))
        console.print(user_table(recommended, ratings, user, console.width))
        console.print()
    if line := rated_after_all(recommended, ratings.held_out):
        console.print(f"{line}\n", markup=False)
    console.print(f"{plan_text(plan)}\n", markup=False)


def user_table(recommended: pa.Table, ratings: Ratings, user: int, width: int = 100) -> Table:
    """Show a user's recommendations next to as many films that they liked.

    Titles that don't fit a terminal of `width` cells are truncated.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    titles = max(20, min(48, (width - _OTHER_COLUMNS_CELLS) // 2))
    table.add_column("  Recommended", width=titles, no_wrap=True, overflow="ellipsis")
    table.add_column("Predicted", justify="right")
    table.add_column("Liked", width=titles, no_wrap=True, overflow="ellipsis")
    table.add_column("Rated")
    for line in _lines(recommended, ratings, user):
        table.add_row(*line)
    return table


def liked(train: pa.Table, user: int) -> pa.Table:
    """Return a user's training ratings of four or more stars, best first.

    Among films with equally many stars, those that more people rated come first.
    """
    popularity = train.group_by("film").aggregate([("rating", "count")])
    good = pc.greater_equal(train["rating"], _LIKED_STARS)
    own = train.filter(pc.and_(pc.equal(train["user"], user), good))
    counts = popularity["rating_count"].take(pc.index_in(own["film"], popularity["film"]))
    return own.append_column("popularity", counts).sort_by(
        [("rating", "descending"), ("popularity", "descending"), ("film", "ascending")]
    )


def rated_after_all(recommended: pa.Table, held_out: pa.Table) -> str:
    """Say how users rated recommended films in the held-out data; "" if none was rated there."""
    best = {
        (row["user"], entry["film"])
        for row in recommended.to_pylist()
        for entry in row["recommendations"]
    }
    columns = (held_out[name].to_pylist() for name in ("user", "film", "rating"))
    ratings = [rating for user, film, rating in zip(*columns, strict=True) if (user, film) in best]
    if not ratings:
        return ""
    return (
        f"{len(ratings):,} of the {len(best):,} recommendations have a held-out rating: "
        f"{sum(ratings) / len(ratings):.1f} stars on average, against "
        f"{pc.mean(held_out['rating']).as_py():.1f} over all held-out ratings."
    )


def plan_text(plan: RecommendPlan) -> str:
    """Say in a sentence or two what a plan leaves per pair, and how it was checked."""
    if plan.sizing is None:
        return f"The whole graph runs for every pair: {plan.why_whole}."
    pair, whole = plan.sizing.flops_pair, plan.sizing.flops_whole
    text = (
        f"A user and a film take {pair:,} operations instead of {whole:,}: the rest of the "
        "model is computed once per user or once per film."
    )
    if (check := plan.verified) is not None:
        text += (
            f" On {check.pairs:,} pairs that were checked, scores are within "
            f"{check.difference:.0e} stars of the whole model's."
        )
    return text


def _name(ratings: Ratings, user: int) -> str:
    rows = pa.concat_tables([ratings.train, ratings.held_out])
    return person(rows.filter(pc.equal(rows["user"], user)).slice(0, 1).to_pylist()[0])


def _lines(recommended: pa.Table, ratings: Ratings, user: int) -> Iterator[tuple[Text | str, ...]]:
    rows = recommended.filter(pc.equal(recommended["user"], user))
    best = rows["recommendations"].to_pylist()[0]
    rated = pa.concat_tables([ratings.train, ratings.held_out])
    titles = dict(zip(rated["film"].to_pylist(), rated["title"].to_pylist(), strict=True))
    before = liked(ratings.train, user).slice(0, len(best)).to_pylist()
    for new, old in zip_longest(best, before):
        # As Text, because in a string [square brackets] would be markup.
        left = (Text(f"  {shown(titles[new['film']])}"), Text(f"{new['score']:.2f}", "green"))
        yield (*left, Text(shown(old["title"])), stars_text(old["rating"])) if old else left
