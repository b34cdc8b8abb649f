"""Which key of a job's TOML file is which option of its command, and what a key may hold.

The table of keys is made from the command's own options, so that no option lacks a key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, time
from typing import Any

import click
from attrs import frozen

from tf2spark.cli.tables import MODE_FLAGS
from tf2spark.errors import ContractError, shortened

SOURCES = ("input", "users", "items")
ANY_NAME = "*"
"""The name of a key that is the user's: an input of the model, a column, a Spark setting."""
MODES = ("error", *MODE_FLAGS)
_PATHS = ("PATH", "FILE", "MODEL")


@frozen
class Key:
    """A key of a job's file: ``[section]`` and a name in it.

    Attributes:
        section: The table that it is in; empty for the file's own keys.
        name: Its name; `ANY_NAME` for any.
        parameters: What it sets: an option, or the flags of which it chooses one.
    """

    section: str
    name: str
    parameters: tuple[click.Parameter, ...]

    @property
    def text(self) -> str:
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def parameter(self) -> click.Parameter:
        return self.parameters[0]

    @property
    def is_path(self) -> bool:
        """Whether a relative value is relative to the file."""
        return self.name == "path" or str(self.parameter.metavar or "").startswith(_PATHS)


def keys_of(command: click.Command) -> dict[tuple[str, str], Key]:
    """Return the keys of a command's jobs, by section and name."""
    keys: dict[tuple[str, str], Key] = {}
    for parameter in command.params:
        section, name = _place(parameter.name or "")
        before = keys.get((section, name))
        parameters = (*before.parameters, parameter) if before else (parameter,)
        keys[section, name] = Key(section, name, parameters)
    return keys


def _place(parameter: str) -> tuple[str, str]:
    """Return the section and the name of a parameter's key."""
    if parameter == "model":
        return "", "model"
    if parameter in ("feed", "fetch"):
        return parameter, ANY_NAME
    if parameter in ("conf", "master"):
        return "spark", ANY_NAME
    if parameter in MODE_FLAGS:
        return "output", "mode"
    if parameter == "partition_by":
        return "output", parameter
    section, _, name = parameter.partition("_")
    if section in (*SOURCES, "output") and name in (
        "path", "table", "sql", "where", "format", "option", "files",
    ):  # fmt: skip
        return section, "options" if name == "option" else name
    return "options", parameter


def arguments(key: Key, name: str, value: Any) -> Iterator[str]:
    """Return the arguments of the command that set a key.

    Args:
        key: The key.
        name: Its name in the file, where any is allowed.
        value: Its value in TOML.

    Raises:
        ContractError: The value isn't of the key's type.
    """
    parameter = key.parameter
    if isinstance(parameter, click.Argument):
        return iter([_text(value, "a string")])
    if key.section == "spark":
        return _setting(name, value)
    if key.section == "feed":
        return iter([f"--feed={name}{_feed(value)}"])
    if key.section == "fetch":
        return iter([f"--fetch={name}={_text(value, 'the name of an output')}"])
    if (key.section, key.name) == ("output", "mode"):
        return _mode(value)
    option = parameter.opts[-1]
    if key.name == "options" and key.section in (*SOURCES, "output"):
        return _reader_options(option, value)
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return _flag(option, value)
    if isinstance(parameter, click.Option) and parameter.multiple:
        return iter([f"{option}={each}" for each in _texts(value)])
    if "," in str(parameter.metavar or ""):
        return iter([f"{option}={','.join(_names(value))}"])
    return iter([f"{option}={_single(parameter, value)}"])


def _single(parameter: click.Parameter, value: Any) -> str:
    """Return a value as text, after click has checked it."""
    kind = parameter.type
    if isinstance(kind, click.types.IntParamType):
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong("a whole number", value)
    elif isinstance(kind, click.types.FloatParamType):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong("a number", value)
    else:
        _text(value, "a string")
    try:
        kind.convert(value, None, None)
    except click.BadParameter as error:
        raise ContractError(error.message.rstrip(".")) from None
    return str(value)


def _wrong(expected: str, value: Any, advice: str | None = None) -> ContractError:
    kinds = {
        bool: "a boolean", int: "a whole number", float: "a number", str: "the string",
        list: "a list", dict: "a table",
    }  # fmt: skip
    if isinstance(value, date | time):
        kind = "a date or a time"
    else:
        kind = next((text for known, text in kinds.items() if isinstance(value, known)), "")
    return ContractError(f"must be {expected}, not {kind} {_toml(value)}".rstrip(), advice)


def _toml(value: Any) -> str:
    if isinstance(value, bool | date | time):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, str) else shortened(value)


def _text(value: Any, expected: str) -> str:
    if isinstance(value, str) and value:
        return value
    advice = f'write "{value}"' if isinstance(value, int | float | date) else None
    raise _wrong(expected, value, advice)


def _texts(value: Any) -> list[str]:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    advice = f"write [{json.dumps(value)}]" if isinstance(value, str) else None
    raise _wrong("a list of strings", value, advice)


def _names(value: Any) -> list[str]:
    if isinstance(value, str):
        split = [each.strip() for each in value.split(",")]
        raise _wrong("a list of strings", value, f"write {json.dumps(split)}")
    names = _texts(value)
    for name in names:
        if "," in name:
            raise ContractError(f'"{name}" has a comma, which no name here may have')
    return names


def _flag(option: str, value: Any) -> Iterator[str]:
    if not isinstance(value, bool):
        raise _wrong("true or false", value)
    return iter([option] if value else [])


def _mode(value: Any) -> Iterator[str]:
    if value not in MODES:
        raise _wrong(f"one of {', '.join(map(json.dumps, MODES))}", value)
    return iter([] if value == "error" else [f"--{str(value).replace('_', '-')}"])


def _reader_options(option: str, value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        raise _wrong('a table: { header = true, sep = ";" }', value)
    return iter([f"{option}={name}={_scalar(each)}" for name, each in flat(value)])


def _setting(name: str, value: Any) -> Iterator[str]:
    if name == "spark.master":
        return iter([f"--master={_text(value, 'a string')}"])
    return iter([f"--conf={name}={_scalar(value)}"])


def flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keys of a table, those of inner tables joined with dots, and their values."""
    for name, value in table.items():
        if isinstance(value, dict) and list(value) != ["literal"]:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    # Without the value, which may be a password.
    raise ContractError("must be a string, a number or a boolean")


def _feed(value: Any) -> str:
    """Return what feeds an input as `--feed` takes it, with its sign."""
    if isinstance(value, str):
        return f"={_text(value, 'a column')}"
    if isinstance(value, bool | int | float):
        return f":={json.dumps(value)}"
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return f"={','.join(_names(value))}"
    if isinstance(value, dict) and list(value) == ["literal"]:
        return f":={json.dumps(value['literal'])}"
    raise _wrong(
        'a column ("age"), a list of columns, a number, true, false, or { literal = "text" }',
        value,
    )


def in_keys(text: str, command: click.Command) -> str:
    """Write the options that a message names as keys of a job's file."""
    by_option = {
        option: (key, parameter)
        for key in keys_of(command).values()
        for parameter in key.parameters
        for option in parameter.opts
        if option.startswith("--")
    }

    def replace(match: re.Match[str]) -> str:
        known = by_option.get(match[1])
        if known is None:
            return match[0]
        key, parameter = known
        value = (match[2] or "") + (match[3] or "")
        if key.text == "output.mode":
            return f'output.mode = "{parameter.name}"' + value
        name = key.text
        if isinstance(parameter.type, click.Choice) and match[3] in parameter.type.choices:
            return f'{name} = "{match[3]}"'
        if name == "spark.*":
            name = "spark"
        if key.name == ANY_NAME:
            return f"[{key.section}]" + value
        return name + value

    return re.sub(r"(?<![\w-])(--[a-z][a-z-]*)((?:[ =](?=[^-\s]))?)(\w*)", replace, text)
