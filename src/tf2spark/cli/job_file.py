"""A job in a TOML file, as the arguments of the command that runs it."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from attrs import field, frozen

from tf2spark.cli.job_keys import ANY_NAME, Key, arguments, flat, keys_of
from tf2spark.errors import ContractError, Mistakes
from tf2spark.locations.paths import is_uri

Place = tuple[str, str]


@frozen
class JobFile:
    """What a job's file says, with the values of ``--set``.

    Attributes:
        path: The file.
        tables: Its keys and values.
        lines: The line of each key, by section and name, as far as known.
        set_texts: The keys that ``--set`` has replaced, and the text of their values.
    """

    path: Path
    tables: dict[str, Any]
    lines: Mapping[Place, int]
    set_texts: dict[Place, str] = field(factory=dict)

    def where(self, section: str, name: str) -> str:
        """Return how a message names a key: the file, the line, the key."""
        text = f"{section}.{name}" if section and name else section or name
        if (section, name) in self.set_texts:
            return f"--set {text}"
        places = (section, name), (section, ""), ("", section)
        line = next((self.lines[place] for place in places if place in self.lines), None)
        return f"{self.path}, line {line}: {text}" if line else f"{self.path}: {text}"


def read_job(path: Path, overrides: Sequence[str]) -> JobFile:
    """Read a job's file, and replace the keys of ``--set KEY=VALUE``.

    Raises:
        ContractError: It can't be read, isn't TOML, or a KEY=VALUE isn't of that form.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except OSError as error:
        raise ContractError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ContractError(f"{path} is not text in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ContractError(f"{path} is not TOML: {error}") from error
    job = JobFile(path, tables, _lines(text))
    for override in overrides:
        _override(job, override)
    return job


def command_line(job: JobFile, commands: Mapping[str, click.Command]) -> list[str]:
    """Return the command of a job and its arguments.

    Raises:
        ContractError: Keys are unknown or missing, or their values are of the wrong type.
    """
    name = job.tables.get("command")
    if not isinstance(name, str) or name not in commands:
        known = " or ".join(f'"{each}"' for each in commands)
        if name is None:
            raise ContractError(f"{job.path} has no key command", f"write command = {known}")
        raise ContractError(f"{job.where('', 'command')} must be {known}, not {name!r}")
    keys = keys_of(commands[name])
    if "model" not in job.tables:
        raise ContractError(f"{job.path} has no key model", 'write model = "PATH"')
    mistakes = Mistakes()
    given: list[str] = []
    for section, key_name, value in _values(job, keys, mistakes):
        with mistakes.collected():
            given += _arguments(job, keys, (section, key_name), value, name)
    mistakes.raise_all()
    options = [each for each in given if each.startswith("--")]
    return [name, *options, "--", *(each for each in given if each not in options)]


def _values(
    job: JobFile, keys: Mapping[Place, Key], mistakes: Mistakes
) -> Iterator[tuple[str, str, Any]]:
    """Yield the section, the name and the value of each key in a job's file."""
    sections = {section for section, _ in keys}
    for section, value in job.tables.items():
        if section == "command":
            continue
        if section not in sections or not section:
            if isinstance(value, dict):
                with mistakes.collected():
                    raise _unknown_section(job, section, sections)
            else:
                yield "", section, value
        elif not isinstance(value, dict):
            with mistakes.collected():
                raise ContractError(
                    f"{job.where(section, '')} must be a table", f"write [{section}] above its keys"
                )
        else:
            pairs = flat(value) if (section, ANY_NAME) in keys else iter(value.items())
            yield from ((section, name, inner) for name, inner in pairs)


def _unknown_section(job: JobFile, section: str, sections: set[str]) -> ContractError:
    known = sorted(each for each in sections if each)
    close = difflib.get_close_matches(section, known, n=1)
    advice = f"did you mean [{close[0]}]?" if close else f"there are {', '.join(known)}"
    return ContractError(f"{job.where(section, '')} is no table of this job", advice)


def _arguments(
    job: JobFile, keys: Mapping[Place, Key], place: Place, value: Any, command: str
) -> list[str]:
    section, name = place
    key = keys.get(place) or keys.get((section, ANY_NAME))
    if key is None:
        raise _unknown_key(job, keys, section, name, command)
    value = _from_file(job, key, _own_text(job, key, name, value))
    try:
        return list(arguments(key, name, value))
    except ContractError as error:
        raise ContractError(f"{job.where(section, name)} {error.problem}", error.advice) from None


def _unknown_key(
    job: JobFile, keys: Mapping[Place, Key], section: str, name: str, command: str
) -> ContractError:
    where = job.where(section, name)
    elsewhere = [key.text for (_, known), key in keys.items() if known == name]
    texts = {known: key.text for (own, known), key in keys.items() if own == section}
    close = difflib.get_close_matches(name, texts, n=1)
    others = {known: key.text for (_, known), key in keys.items() if known != ANY_NAME}
    close_elsewhere = difflib.get_close_matches(name, others, n=1)
    if close:
        advice = f"did you mean {texts[close[0]]}?"
    elif elsewhere:
        advice = f"write it as {' or '.join(sorted(elsewhere))}"
    elif close_elsewhere:
        advice = f"did you mean {others[close_elsewhere[0]]}?"
    else:
        table = f"[{section}]" if section else "the file itself"
        advice = (
            f"{table} has the keys {', '.join(sorted([*texts, *([] if section else ['command'])]))}"
        )
    return ContractError(f"{where} is no key of a {command} job", advice)


def _own_text(job: JobFile, key: Key, name: str, value: Any) -> Any:
    """Return the text of a value of ``--set`` where the key takes a string: 2026, not a number."""
    text = job.set_texts.get((key.section, name))
    takes_text = type(key.parameter.type) in (click.types.StringParamType, click.Choice)
    is_list = isinstance(key.parameter, click.Option) and (
        key.parameter.multiple or "," in str(key.parameter.metavar or "")
    )
    if text is None or isinstance(value, str) or not takes_text or is_list:
        return value
    return text


def _from_file(job: JobFile, key: Key, value: Any) -> Any:
    """Return a path; a relative one is relative to the job's file."""
    if key.text == "options.op_library" and isinstance(value, list):
        return [_path(job, each) if _is_library_file(each) else each for each in value]
    return _path(job, value) if key.is_path and isinstance(value, str) and value else value


def _is_library_file(value: Any) -> bool:
    return isinstance(value, str) and (value.endswith(".so") or "/" in value)


def _path(job: JobFile, path: str) -> str:
    if is_uri(path) or path.startswith("file:"):
        return path
    return str(Path(os.path.abspath(job.path)).parent / os.path.expanduser(path))


def _override(job: JobFile, override: str) -> None:
    """Set a key to the value of ``--set KEY=VALUE``: TOML, or else a string as it stands."""
    name, equals, text = _divide(override)
    try:
        path = _inner(tomllib.loads(f"{name} = 0")) if equals and name else []
    except tomllib.TOMLDecodeError:
        path = []
    if not path:
        # Only the first word: others may be the value, and that a password.
        word = re.split(r"[\s=:]", name, maxsplit=1)[0]
        raise ContractError(
            f"--set {word} can't be parsed", "write --set KEY=VALUE: --set options.mode=failfast"
        )
    *folders, last = path
    table = job.tables
    for folder in folders:
        inner = table.setdefault(folder, {})
        if not isinstance(inner, dict):
            raise ContractError(f"--set {name}: {folder} has a value of its own in {job.path}")
        table = inner
    table[last] = _value(text)
    job.set_texts[path[0] if folders else "", ".".join(path[1:] if folders else path)] = text


def _divide(override: str) -> tuple[str, str, str]:
    """Divide at the first "=" that isn't quoted."""
    match = re.match(r"((?:[^=\"']|\"[^\"]*\"|'[^']*')*)(=)(.*)", override, re.DOTALL)
    name, equals, text = match.groups() if match else (override, "", "")
    return name.strip(), equals, text.strip()


def _inner(table: dict[str, Any]) -> list[str]:
    """Return the names that lead to the only value of a table."""
    path: list[str] = []
    value: Any = table
    while isinstance(value, dict):
        if len(value) != 1:
            return []
        name, value = next(iter(value.items()))
        path.append(name)
    return path


def _value(text: str) -> Any:
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return table["value"] if list(table) == ["value"] else text


def _lines(text: str) -> dict[Place, int]:
    """Return the line of each key and table, by how TOML is mostly written."""
    lines: dict[Place, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[([^\[\]]+)\]", line):
            section = _plain(match[1])
            lines.setdefault((section, ""), number)
        elif match := re.match(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*[^=\s]+)*)\s*=", line):
            name = _plain(match[1])
            lines.setdefault((section, name), number)
            outer, dot, inner = name.partition(".")
            if not section and dot:  # input.path = ... above all tables
                lines.setdefault((outer, inner), number)
    # [input.options] is the key "options" of [input].
    for (section, name), number in list(lines.items()):
        outer, dot, inner = section.partition(".")
        if dot and not name:
            lines.setdefault((outer, inner), number)
    return lines


def _plain(name: str) -> str:
    return re.sub(r"[\"']|\s*(?=\.)|(?<=\.)\s*", "", name.strip())
