"""What the page shows of each output, of groups of rows, and of rows without scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from tf2spark.report.facts import JobFacts, Pairs
from tf2spark.report.groups import Groups, groups_to_draw
from tf2spark.report.numbers import number_text, percent_text
from tf2spark.report.plots import Plot, by_name, counts, counts_over_time, histogram, over_time
from tf2spark.shown_text import shown
from tf2spark.worker.statistics.column import MAX_ENTRIES, ColumnStatistics
from tf2spark.worker.statistics.task import OutputStatistics
from tf2spark.worker.statistics.value_sketch import ValueSketch

_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_TOP_VALUES = 12
_REASONS = 20


@frozen
class Card:
    """One output, or one view of all rows.

    Attributes:
        title: The output's name.
        subtitle: Its type.
        plots: What is drawn.
        table: Statistics, by name.
        notes: How exact they are.
    """

    title: str
    subtitle: str = ""
    plots: Sequence[Plot] = ()
    table: Pairs = ()
    notes: Sequence[str] = ()


def output_cards(facts: JobFacts) -> list[Card]:
    """Return a card for each output whose statistics are known."""
    written = facts.written
    if written.statistics is None:
        return []
    pairs = zip(written.outputs, written.statistics.columns, strict=True)
    return [_output_card(shown(name), column, facts) for name, column in pairs]


def _output_card(name: str, column: ColumnStatistics, facts: JobFacts) -> Card:
    is_recommendation = facts.k is not None and column.lengths is not None
    is_list = column.lengths is not None and not is_recommendation
    of = "score" if is_recommendation else name
    plots: list[Plot | None] = []
    if column.numbers is not None:
        unit = "recommendations" if is_recommendation else facts.unit
        title = "Scores of recommended items" if is_recommendation else f"Distribution of {name}"
        if is_list:
            title, unit = f"Entries of {name}", "entries"
        plots.append(histogram(title, column.numbers, unit, of))
    if column.norms is not None:
        plots.append(histogram("Norms of the lists", column.norms, facts.unit, "Euclidean norm"))
    if column.counts is not None:
        plots.append(_counts_plot(column, facts, is_recommendation=is_recommendation))
    if column.lengths is not None and column.lengths.minimum < column.lengths.maximum:
        of_lengths = "items per user" if is_recommendation else "entries per row"
        plots.append(histogram(of_lengths.capitalize(), column.lengths, facts.unit, of_lengths))
    return Card(
        name,
        shown(column.type),
        [plot for plot in plots if plot is not None],
        list(_table(column, facts, is_recommendation=is_recommendation)),
        list(_notes(column)),
    )


def _counts_plot(
    column: ColumnStatistics, facts: JobFacts, *, is_recommendation: bool
) -> Plot | None:
    assert column.counts is not None
    common = [(shown(text) or "(empty)", n) for text, n in column.counts.most_common(_TOP_VALUES)]
    if not common:
        return None
    if is_recommendation:
        return counts("Most recommended items", common, facts.unit)
    return counts("Most frequent values", common, facts.unit)


def _table(
    column: ColumnStatistics, facts: JobFacts, *, is_recommendation: bool
) -> Iterator[tuple[str, str]]:
    yield "nulls", _count_and_share(column.nulls, column.rows)
    if column.lengths is not None and column.lengths.count:
        fewest, most = (number_text(x) for x in (column.lengths.minimum, column.lengths.maximum))
        name = "items per user" if is_recommendation else "entries per row"
        yield name, fewest if fewest == most else f"{fewest} to {most}"
    if column.numbers is not None or column.norms is not None:
        yield "NaN", f"{column.nan:,}"
        yield "infinite", f"{column.infinite:,}"
    if column.numbers is not None:
        yield from _number_rows(column.numbers)
    if column.norms is not None:
        low, middle, high = (number_text(column.norms.quantile(part)) for part in (0.05, 0.5, 0.95))
        yield "norm: 5 % quantile, median, 95 %", f"{low}, {middle}, {high}"
    if is_recommendation and column.lengths is not None and facts.k is not None:
        fewer = column.nulls + sum(n for size, n in column.lengths.values() if size < facts.k)
        yield f"users with fewer than {facts.k} items", _count_and_share(fewer, column.rows)
    if column.counts is not None:
        noun = "different items" if is_recommendation else "different values"
        distinct = column.counts.distinct
        yield noun, "many" if distinct is None else f"{distinct:,}"
    if column.counts is not None and is_recommendation:
        frequencies = column.counts.frequencies()
        top = frequencies[: max(1, len(frequencies) // 100)]
        yield "the top 1 % of these items get", percent_text(sum(top), sum(frequencies))


def _number_rows(sketch: ValueSketch) -> Iterator[tuple[str, str]]:
    if not sketch.count:
        return
    yield "mean", number_text(sketch.mean)
    yield "standard deviation", number_text(sketch.deviation)
    yield "minimum", number_text(sketch.minimum)
    for fraction in _QUANTILES:
        name = "median" if fraction == 0.5 else f"{100 * fraction:.0f} % quantile"
        yield name, number_text(sketch.quantile(fraction))
    yield "maximum", number_text(sketch.maximum)


def _notes(column: ColumnStatistics) -> Iterator[str]:
    sketches = [sketch for sketch in (column.numbers, column.norms) if sketch is not None]
    error = 100 * max((sketch.relative_error for sketch in sketches), default=0.0)
    if error:
        digits = f"{error:.1g}" if error >= 1e-4 else "0.0001"
        yield (
            f"Quantiles and the histogram are approximate: within {digits} % of the value. All "
            "other numbers are exact."
        )
    if column.lengths is not None and column.lengths.maximum > MAX_ENTRIES and column.norms:
        yield f"Only lists of up to {MAX_ENTRIES} entries have the distribution of their entries."
    if column.counts is not None and not column.counts.is_exact:
        yield "Rare values were forgotten on the way: counts are at least these."
    if column.numbers is None and column.counts is None and column.lengths is None:
        yield "Only nulls are counted for a column of this type."


def group_cards(facts: JobFacts) -> tuple[str, list[Card]]:
    """Return a heading and a card for each numeric output over time or by partition."""
    written = facts.written
    statistics, column = written.statistics, written.group_column
    if statistics is None or column is None or not statistics.groups:
        return "", []
    groups = groups_to_draw(statistics.groups, shown(column))
    heading = f"By {groups.by} of {shown(column)}" if groups.in_time else f"By {shown(column)}"
    cards = [_row_card(groups, facts, statistics)]
    for position, name in enumerate(written.outputs):
        points = groups.points(position)
        if points:
            title = "Median, and the range of 80 % of the values"
            if groups.in_time:
                plot = over_time(title, points, shown(name), groups.by)
            else:
                plot = by_name(title, points, shown(name))
            cards.append(Card(shown(name), plots=[plot]))
    return heading, cards


def _row_card(groups: Groups, facts: JobFacts, statistics: OutputStatistics) -> Card:
    named = [(shown(name), group.rows) for name, group in groups.named]
    notes = []
    if groups.left_out:
        notes.append(f"{groups.left_out:,} smaller groups are left out.")
    if statistics.groups_dropped:
        notes.append("There are too many groups to count them all.")
    title = f"{facts.unit.capitalize()} written"
    if groups.in_time:
        plot = counts_over_time(title, named, facts.unit, groups.by)
    else:
        plot = counts(title, named, facts.unit)
    return Card(facts.unit.capitalize(), plots=[plot], notes=notes)


def reasons(facts: JobFacts) -> list[tuple[str, int]]:
    """Return the most frequent reasons why rows have no scores, and how often each occurs."""
    statistics = facts.written.statistics
    if statistics is None:
        return []
    return [(shown(text), count) for text, count in statistics.reasons.most_common(_REASONS)]


def _count_and_share(part: int, whole: int) -> str:
    return f"{part:,}" if not part else f"{part:,} ({percent_text(part, whole)})"
