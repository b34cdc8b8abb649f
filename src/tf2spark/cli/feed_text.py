"""Feeds and outputs as text: the ``--feed`` and ``--fetch`` options of the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from attrs import evolve

from tf2spark.binding.feeds import (
    Constant,
    Example,
    Feed,
    Output,
    Padded,
    as_feed,
    assembled,
    example,
    padded,
)
from tf2spark.errors import ContractError, Mistakes
from tf2spark.plan.score import VectorField

T = TypeVar("T")


def parse_feed(options: Sequence[str]) -> dict[str, Feed] | None:
    """Parse ``--feed`` options: INPUT=COLUMN[,COLUMN...], INPUT=padded(COLUMN, JSON),
    INPUT=assembled(COLUMN, ...)[.indices|.values], INPUT=example(COLUMN, FEATURE=COLUMN, ...) or
    INPUT:=JSON.

    Returns:
        Input names to feeds; None if there is no option, so that columns match by name.

    Raises:
        ContractError: An option isn't of that form, or an input is named twice.
    """
    feeds: dict[str, Feed] = {}
    mistakes = Mistakes()
    for option in options:
        with mistakes.collected():
            _add(feeds, *_parse_feed(option), f"--feed {option}")
    mistakes.raise_all()
    return feeds or None


def _parse_feed(option: str) -> tuple[str, Feed]:
    """Return the input that an option names, and its feed."""
    # A tensor name has a colon too ("x:0=col"), so ":=" is matched as a whole.
    match = re.fullmatch(r"([^=]+?)(:?=)(.*)", option, re.DOTALL)
    name, sign, text = (part.strip() for part in match.groups()) if match else ("", "", "")
    if not (name and text):
        raise _not_a_feed(f"--feed {option}")
    if sign == ":=":
        return name, Constant(_json(text, f"--feed {option}"))
    return name, _parse_expression(text, f"--feed {option}")


def parse_fetch(options: Sequence[str]) -> dict[str, Output] | None:
    """Parse ``--fetch`` options: COLUMN=OUTPUT, COLUMN=binary(OUTPUT), COLUMN=map(OUTPUT) or
    COLUMN=output(OUTPUT, rank=N).

    Returns:
        Column names to outputs; None if there is no option, so that all are fetched.

    Raises:
        ContractError: An option isn't of that form, or a column is named twice.
    """
    fetches: dict[str, Output] = {}
    mistakes = Mistakes()
    for option in options:
        with mistakes.collected():
            _add(fetches, *_parse_fetch(option), f"--fetch {option}")
    mistakes.raise_all()
    return fetches or None


def _parse_fetch(option: str) -> tuple[str, Output]:
    """Return the column that an option names, and its output."""
    column, _, text = (part.strip() for part in option.partition("="))
    target = _parse_output(text)
    if not column or target is None:
        raise ContractError(
            f"--fetch {option} can't be parsed",
            "write COLUMN=OUTPUT, COLUMN=binary(OUTPUT), COLUMN=map(OUTPUT) or "
            "COLUMN=output(OUTPUT, rank=2)",
        )
    return column, target


def _parse_output(text: str) -> Output | None:
    if match := re.fullmatch(r"binary\(\s*([^(),]+?)\s*\)", text):
        return Output(match[1], binary=True)
    if match := re.fullmatch(r"map\(\s*([^(),]+?)\s*\)", text):
        return Output(match[1], as_map=True)
    if match := re.fullmatch(r"output\(\s*([^(),]+?)\s*,\s*rank\s*=\s*(\d+)\s*\)", text):
        return Output(match[1], int(match[2]))
    return Output(text) if text and "(" not in text else None


def _add(by_name: dict[str, T], name: str, value: T, option: str) -> None:
    if name in by_name:
        raise ContractError(f"{option}: {name} is given twice")
    by_name[name] = value


def _not_a_feed(option: str) -> ContractError:
    return ContractError(
        f"{option} can't be parsed", "write INPUT=COLUMN, INPUT=COLUMN,COLUMN or INPUT:=JSON"
    )


def _json(text: str, option: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ContractError(
            f"{option} has no JSON after := ({error})", 'write 1.0, true or "text", for example'
        ) from None


def _parse_expression(text: str, option: str) -> Feed:
    if text.startswith("padded("):
        return _parse_padded(text, option)
    if text.startswith("example("):
        return _parse_example(text, option)
    if text.startswith("assembled("):
        match = re.fullmatch(r"assembled\(([^()]*)\)(?:\.(indices|values))?", text)
        paths = _names(match[1]) if match else []
        if match is None or not paths:
            raise ContractError(
                f"{option} can't be parsed",
                "write assembled(COLUMN, COLUMN), and append .indices or .values to feed only "
                "those",
            )
        return evolve(assembled(*paths), part=cast("VectorField | None", match[2]))
    # Without a comma it may be the name that Spark gives a column: "sum(clicks)".
    if call := re.search(r"(\w+)\([^()]*,[^()]*\)", text):
        raise ContractError(
            f"{option}: a feed has no function {call[1]}()",
            "the functions are padded(COLUMN, VALUE), assembled(COLUMN, COLUMN) and "
            "example(COLUMN); compute anything else in SQL, in a column of the table",
        )
    if not (paths := _names(text)):
        raise _not_a_feed(option)
    return as_feed(paths)


def _parse_example(text: str, option: str) -> Example:
    """Parse ``example(COLUMN, FEATURE=COLUMN, ...)``; without columns, all features are meant."""
    match = re.fullmatch(r"example\(([^()]*)\)", text)
    names = _names(match[1]) if match else []
    pairs = [[part.strip() for part in name.rpartition("=")] for name in names]
    if match is None or any(not path or (sign and not key) for key, sign, path in pairs):
        raise ContractError(
            f"{option} can't be parsed",
            "write example(COLUMN, FEATURE=COLUMN), or example() for all features of the model",
        )
    columns = [{key: path} if sign else path for key, sign, path in pairs]
    try:
        return example(*columns)
    except ContractError as error:
        raise ContractError(f"{option}: {error.problem}", error.advice) from None


def _parse_padded(text: str, option: str) -> Padded:
    """Parse ``padded(COLUMN[,COLUMN...], JSON)``: the value starts after the first comma with
    complete JSON after it, since both halves may contain commas.
    """
    inner = text.removeprefix("padded(").removesuffix(")")
    commas = (
        [index for index, char in enumerate(inner) if char == ","] if text.endswith(")") else []
    )
    for comma in commas:
        try:
            value = json.loads(inner[comma + 1 :])
        except ValueError:
            continue
        column = _parse_expression(inner[:comma].strip(), option)
        if isinstance(column, Padded | Example) or not isinstance(value, bool | int | float | str):
            break
        return padded(column, value)
    raise ContractError(
        f"{option} can't be parsed",
        'write padded(COLUMN, VALUE), VALUE as JSON (0, -1.0, "")',
    )


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
