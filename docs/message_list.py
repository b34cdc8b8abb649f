"""The lists of docs/messages.md, read from the code: ``python docs/message_list.py`` writes them.

The page's own words stand between the lists. A list begins after a comment that names its error
class and the modules that raise it, and a message that no list takes is an error: so a new message
can't be left out, and an old one can't stay.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from tf2spark import errors
from tf2spark.errors import Advice, Tf2SparkError

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "tf2spark"
PAGE = ROOT / "docs" / "messages.md"
_HOLE = "…"
_CLASSES = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, Tf2SparkError | Warning)
}
_LIST = re.compile(
    r"<!-- messages: (?P<error>\w+) in (?P<modules>[\w./, ]+) -->\n.*?<!-- end -->", re.DOTALL
)


@frozen(order=True)
class Message:
    """A message in the code, with `…` for what depends on the case.

    Attributes:
        text: What is wrong.
        advice: What to write instead, for users of Spark DataFrames; empty if `text` says it.
        error: Its class.
        module: Where it is raised, relative to the package and without its ending.
    """

    text: str
    advice: str
    error: str
    module: str


def messages() -> list[Message]:
    """Return all messages that are raised with a text of their own, in alphabetical order."""
    found = set()
    for file in SOURCE.rglob("*.py"):
        module = file.relative_to(SOURCE).with_suffix("").as_posix()
        for call, function in _calls(ast.parse(file.read_text(encoding="utf-8")), None):
            arguments = [_text(argument, function) for argument in call.args[:2]]
            text, advice = (_tidied(part) for part in [*arguments, "", ""][:2])
            # A text that is all of it given by the caller is in the list of that caller.
            if len(re.findall(r"[a-zA-Z]{2,}", text)) > 1:
                found.add(Message(text, advice, _name(call.func), module))
    return sorted(found)


def _calls(node: ast.AST, function: ast.AST | None) -> Iterator[tuple[ast.Call, ast.AST | None]]:
    """Yield the calls that make an error, each with the function that it is in."""
    if isinstance(node, ast.Call) and _name(node.func) in _CLASSES and node.args:
        yield node, function
    inner = node if isinstance(node, ast.FunctionDef) else function
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, inner)


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _text(node: ast.AST, function: ast.AST | None) -> str:
    """Return the text that an expression makes, with a hole for each part that isn't known."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, function) for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, function) + _text(right, function)
        case ast.Call(func=ast.Name(id="Advice"), args=[first, *_]):
            return _text(first, function)
        case ast.Call(func=ast.Name(id="argument"), args=[ast.Constant(value=name), *rest]):
            value = rest[0].value if rest and isinstance(rest[0], ast.Constant) else ...
            return errors.argument(str(name), value).python  # type: ignore[arg-type]
        case ast.Name(id=name):
            known = getattr(errors, name, None)
            if isinstance(known, Advice):
                return known.python
            return _assigned(name, function)
    return _HOLE


def _assigned(name: str, function: ast.AST | None) -> str:
    """Return the text that a function gives to a variable, if it gives it one."""
    for node in ast.walk(function) if function else ():
        if isinstance(node, ast.Assign) and [_name(target) for target in node.targets] == [name]:
            return _text(node.value, None)
    return _HOLE


def _tidied(text: str) -> str:
    """Return a text on one line, without advice that is nothing but a hole."""
    text = re.sub(rf"{_HOLE}(\s*{_HOLE})+", _HOLE, " ".join(text.split())).strip()
    return "" if text == _HOLE else text


def filled(page: str) -> str:
    """Return the page with its lists as the code has them.

    Raises:
        ValueError: No list takes some message.
    """
    left = messages()

    def write(match: re.Match[str]) -> str:
        prefixes = tuple(part.strip() for part in match["modules"].split(","))
        taken = [
            message
            for message in left
            if message.error == match["error"]
            and ("all" in prefixes or message.module.startswith(prefixes))
        ]
        for message in taken:
            left.remove(message)
        head = match[0].split("\n", 1)[0]
        rows = [f"| {_cell(message.text)} | {_cell(message.advice)} |" for message in taken]
        table = "\n".join(["| message | what to do |", "|---|---|", *dict.fromkeys(rows)])
        return f"{head}\n{table}\n<!-- end -->"

    page = _LIST.sub(write, page)
    if left:
        lines = "\n".join(
            f"{message.error} in {message.module}: {message.text}" for message in left
        )
        raise ValueError(f"no list of docs/messages.md takes\n{lines}")
    return page


def _cell(text: str) -> str:
    """Return a text for a cell of a Markdown table, in which nothing is markup."""
    return re.sub(r"([\\|*_<>\[\]`#~$])", r"\\\1", text)


if __name__ == "__main__":
    try:
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    except ValueError as error:
        sys.exit(str(error))
