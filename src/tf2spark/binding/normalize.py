"""The `feed` and the `fetch` of a call, as the values that the code behind it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tf2spark.binding.feeds import (
    Feed,
    FeedValue,
    Fetch,
    Output,
    _one_line,
    as_feed,
)
from tf2spark.errors import ContractError, Mistakes


def as_output(value: object) -> Output:
    """Turn what a user wrote for one output column into an `Output`.

    Raises:
        ContractError: It names no output.
    """
    if isinstance(value, Output):
        return value
    if isinstance(value, str):
        return Output(value)
    raise ContractError(
        f"{_one_line(value)} is not an output",
        "write the name of an output or of a tensor, binary(name) or output(name, rank=2)",
    )


def normalize(
    feed: Mapping[str, FeedValue] | None, fetch: Fetch | None
) -> tuple[dict[str, Feed] | None, dict[str, Output] | None]:
    """Turn the `feed` and the `fetch` of a call into what the code behind it takes.

    Raises:
        ContractError: One of them is wrong, or both; see `normalize_feeds`, `normalize_fetches`.
    """
    mistakes = Mistakes()
    with mistakes.collected():
        feeds = normalize_feeds(feed)
    with mistakes.collected():
        fetches = normalize_fetches(fetch)
    mistakes.raise_all()
    return feeds, fetches


def normalize_feeds(feed: Mapping[str, FeedValue] | None) -> dict[str, Feed] | None:
    """Turn the `feed` argument of a call into `Feed` values.

    Raises:
        ContractError: It isn't a mapping of input names to what feeds them.
    """
    if feed is None:
        return None
    if not (isinstance(feed, Mapping) and all(isinstance(name, str) for name in feed)):
        raise ContractError(
            f"{_one_line(feed)} doesn't say which column feeds which input",
            'write feed={"INPUT": "COLUMN"}',
        )
    mistakes, feeds = Mistakes(), {}
    for name, value in feed.items():
        with mistakes.collected():
            feeds[name] = _as_feed_of(name, value)
    mistakes.raise_all()
    return feeds


def _as_feed_of(name: str, value: object) -> Feed:
    """Turn what a user wrote for an input into a `Feed`; a mistake names the input."""
    try:
        return as_feed(value)
    except ContractError as error:
        raise ContractError(f'feed["{name}"]: {error.problem}', error.advice) from None


def normalize_fetches(fetch: Fetch | None) -> dict[str, Output] | None:
    """Turn the `fetch` argument of a call into `Output` values by column.

    A mapping is column to output; a list or a single name keeps the outputs' own names.

    Raises:
        ContractError: It is none of these, it is empty, or two outputs would share a column.
    """
    if fetch is None:
        return None
    if isinstance(fetch, str | Output):
        fetch = [fetch]
    if isinstance(fetch, list | tuple):
        return _by_own_name([as_output(value) for value in fetch])
    if not (isinstance(fetch, Mapping) and all(isinstance(name, str) for name in fetch)):
        raise ContractError(
            f"{_one_line(fetch)} doesn't say which outputs to fetch",
            "write a list of outputs, or which output becomes which column: "
            'fetch={"COLUMN": "OUTPUT"}',
        )
    return _not_empty({column: as_output(value) for column, value in fetch.items()})


def _by_own_name(outputs: Sequence[Output]) -> dict[str, Output]:
    """Name each column after its output; a raw tensor's, after the last part of its node's name."""
    by_column: dict[str, Output] = {}
    for fetched in outputs:
        column = fetched.name.partition(":")[0].rpartition("/")[2]
        if column in by_column:
            raise ContractError(
                f'"{by_column[column].name}" and "{fetched.name}" would both become the column '
                f'"{column}"',
                'name the columns: fetch={"COLUMN": "OUTPUT"}',
            )
        by_column[column] = fetched
    return _not_empty(by_column)


def _not_empty(fetches: dict[str, Output]) -> dict[str, Output]:
    if not fetches:
        raise ContractError("fetch is empty", "name at least one output, or leave fetch out")
    return fetches
