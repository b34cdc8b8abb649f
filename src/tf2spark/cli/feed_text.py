"""Feeds and outputs as text: the ``--feed`` and ``--fetch`` options of the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, cast

from attrs import evolve

from tf2spark.binding.feeds import (
    Constant,
    Feed,
    Output,
    Padded,
    as_feed,
    assembled,
    padded,
)
from tf2spark.errors import ContractError
from tf2spark.plan.score import VectorField


def parse_feed(options: Sequence[str]) -> dict[str, Feed] | None:
    """Read ``--feed`` options: INPUT=COLUMN[,COLUMN...], INPUT=padded(COLUMN, JSON),
    INPUT=assembled(COLUMN, ...)[.indices|.values] or INPUT:=JSON.

    Returns:
        Input names to feeds, or None where there is no option (match by name).

    Raises:
        ContractError: An option isn't of that form, or an input is named twice.
    """
    feeds: dict[str, Feed] = {}
    for option in options:
        # A tensor name holds a colon too ("x:0=col"), so ":=" is looked for as a whole.
        found = re.fullmatch(r"([^=]+?)(:?=)(.*)", option, re.DOTALL)
        name, sign, text = (part.strip() for part in found.groups()) if found else ("", "", "")
        if not (name and text):
            raise ContractError(
                f"--feed {option}: write INPUT=COLUMN, INPUT=COLUMN,COLUMN or INPUT:=JSON"
            )
        feed: Feed
        if sign == ":=":
            feed = Constant(_json(text, f"--feed {option}: what follows := must be JSON"))
        else:
            feed = _parse_expression(text, f"--feed {option}")
        _add(feeds, name, feed, f"--feed {option}")
    return feeds or None


def parse_fetch(options: Sequence[str]) -> dict[str, Output] | None:
    """Read ``--fetch`` options: COLUMN=OUTPUT, COLUMN=binary(OUTPUT) or
    COLUMN=output(OUTPUT, rank=N).

    Returns:
        Column names to outputs, or None where there is no option (all outputs).

    Raises:
        ContractError: An option isn't of that form, or a column is named twice.
    """
    fetches: dict[str, Output] = {}
    for option in options:
        column, _, text = (part.strip() for part in option.partition("="))
        target = _parse_output(text)
        if not column or target is None:
            raise ContractError(
                f"--fetch {option}: write COLUMN=OUTPUT, COLUMN=binary(OUTPUT) or "
                "COLUMN=output(OUTPUT, rank=2)"
            )
        _add(fetches, column, target, f"--fetch {option}")
    return fetches or None


def _parse_output(text: str) -> Output | None:
    if found := re.fullmatch(r"binary\(\s*([^(),]+?)\s*\)", text):
        return Output(found[1], binary=True)
    if found := re.fullmatch(r"output\(\s*([^(),]+?)\s*,\s*rank\s*=\s*(\d+)\s*\)", text):
        return Output(found[1], int(found[2]))
    return Output(text) if text and "(" not in text else None


def _add(found: dict[str, Any], name: str, value: Any, option: str) -> None:
    if name in found:
        raise ContractError(f"{option}: {name} is given twice")
    found[name] = value


def _json(text: str, otherwise: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ContractError(f'{otherwise} (1.0, true, "text"): {error}') from None


def _parse_expression(text: str, option: str) -> Feed:
    if text.startswith("padded("):
        return _parse_padded(text, option)
    if text.startswith("assembled("):
        found = re.fullmatch(r"assembled\(([^()]*)\)(?:\.(indices|values))?", text)
        paths = _names(found[1]) if found else []
        if found is None or not paths:
            raise ContractError(
                f"{option}: write assembled(COLUMN, COLUMN), followed by .indices or .values where "
                "one half is meant"
            )
        return evolve(assembled(*paths), part=cast("VectorField | None", found[2]))
    if not (paths := _names(text)):
        raise ContractError(f"{option}: write INPUT=COLUMN, INPUT=COLUMN,COLUMN or INPUT:=JSON")
    return as_feed(paths)


def _parse_padded(text: str, option: str) -> Padded:
    """Read ``padded(COLUMN[,COLUMN...], JSON)``: the value starts after the first comma that
    leaves whole JSON, since both halves may hold commas.
    """
    inside = text.removeprefix("padded(").removesuffix(")")
    commas = [at for at, char in enumerate(inside) if char == ","] if text.endswith(")") else []
    for comma in commas:
        try:
            value = json.loads(inside[comma + 1 :])
        except ValueError:
            continue
        column = _parse_expression(inside[:comma].strip(), option)
        if isinstance(column, Padded) or not isinstance(value, bool | int | float | str):
            break
        return padded(column, value)
    raise ContractError(f'{option}: write padded(COLUMN, VALUE), VALUE as JSON (0, -1.0, "")')


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
