"""The text of a StableHLO module: its functions, and their statements.

Only what MLIR prints on one line is understood, besides the code within an op: the body of a loop,
the branches of a case, what a sort compares by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from attrs import evolve, frozen


class NotOpened(Exception):
    """A module stays whole; the message says why."""


@frozen
class TensorType:
    """A tensor's type; sizes that the module leaves open are None."""

    sizes: tuple[int | None, ...]
    element: str


@frozen
class Statement:
    """One op.

    Attributes:
        op: Its name, without the dialect's.
        result: The name of what it computes; "" if nothing, several if they are named apart.
        operands: The names of what it reads.
        text: Everything between its name and its types.
        types: The types of its results.
        regions: The code within it.
    """

    op: str
    result: str
    operands: tuple[str, ...]
    text: str
    types: tuple[TensorType, ...] = ()
    regions: tuple[Region, ...] = ()


@frozen
class Region:
    """Code within an op: the names of its parameters, its statements, and what it returns."""

    parameters: tuple[str, ...]
    statements: tuple[Statement, ...]
    returned: tuple[str, ...]


@frozen
class Function:
    """A function of a module: its parameters with their types, statements, and what it returns."""

    parameters: tuple[tuple[str, TensorType], ...]
    statements: tuple[Statement, ...]
    returned: tuple[str, ...]


_FUNCTION = re.compile(
    r'^  func\.func (?:public |private )?@([\w.$-]+|"(?:[^"\\]|\\.)*")\((.*)\) -> .*\{$'
)
_CALLED = re.compile(r'\s*@([\w.$-]+|"(?:[^"\\]|\\.)*")\(')
_PARAMETER = re.compile(r"(%\w+): (tensor<[^<>]*>)")
_STATEMENT = re.compile(
    r'^(?:(%\w+(?:, %\w+)*)(?::\d+)? = )?(?:"?(?:stablehlo|func)\.)?([a-z_]+)"?(?=[ (]|$)(.*)$'
)
_OPERAND = re.compile(r"%\w+(?:#\d+)?")
_TENSOR = re.compile(r"tensor<((?:(?:\d+|\?)x)*)(\w+)>")
_CARRIED = re.compile(r"(%\w+) = (%\w+(?:#\d+)?)")
# The code of a loop or a reduction is on the lines after it.
_REGIONS_BELOW = ("cond {", "reducer(")
_OF_ALL_OPERANDS = ("optimization_barrier", "while")
_MAX_DEPTH = 20
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def parse(text: str) -> Mapping[str, Function]:
    """Return the functions of a module by their names.

    Raises:
        NotOpened: It has a function that isn't written as expected.
    """
    functions: dict[str, Function] = {}
    lines = iter(text.splitlines())
    for line in lines:
        if not line.startswith("  func.func"):
            continue
        header = _FUNCTION.match(line)
        if header is None:
            raise NotOpened("a function of its module is declared in another form")
        functions[header[1]] = _function(header[2], lines)
    return functions


def _function(parameters: str, lines: Iterator[str]) -> Function:
    region, _ = _region("", lines, 0)
    declared = [(name, tensor_type(kind)) for name, kind in _PARAMETER.findall(parameters)]
    return Function(tuple(declared), region.statements, region.returned)


def _region(parameters: str, lines: Iterator[str], depth: int) -> tuple[Region, str]:
    """Read up to the brace that closes a region; return the region, and the line of the brace."""
    if depth > _MAX_DEPTH:
        raise NotOpened("the code of its module is nested too deeply")
    statements: list[Statement] = []
    for line in lines:
        text = line.strip()
        if text.startswith("}"):
            return _closed(parameters, statements), text
        if text.startswith("^bb"):
            parameters = text
        elif text.startswith(_REGIONS_BELOW) and statements:
            regions, _ = _regions(_names(statements[-1], text), lines, depth + 1)
            statements[-1] = evolve(statements[-1], regions=regions)
        else:
            statements.append(_statement(text, lines, depth))
    raise NotOpened("a function of its module doesn't end")


def _closed(parameters: str, statements: Sequence[Statement]) -> Region:
    if not statements or statements[-1].op != "return":
        raise NotOpened("a function of its module doesn't end by returning something")
    *body, last = statements
    names = [name for name, _ in _PARAMETER.findall(parameters)]
    return Region(tuple(names), tuple(body), last.operands)


def _names(statement: Statement, header: str) -> str:
    """Return the parameters of code that follows a statement: those of a loop are in the loop."""
    if statement.op != "while":
        return header
    return "".join(f"{name}: tensor<>" for name, _ in _CARRIED.findall(statement.text))


def _regions(parameters: str, lines: Iterator[str], depth: int) -> tuple[tuple[Region, ...], str]:
    regions = []
    closing = "{"
    while closing.endswith("{"):  # "}, {" and "} do {"
        region, closing = _region(parameters, lines, depth)
        regions.append(region)
    return tuple(regions), closing


def _statement(line: str, lines: Iterator[str], depth: int) -> Statement:
    match = _STATEMENT.match(line)
    if match is None:
        raise NotOpened("a line of its module is in another form")
    result, op, rest = match[1] or "", match[2], match[3]
    regions: tuple[Region, ...] = ()
    if rest.endswith("{"):
        regions, closing = _regions("", lines, depth + 1)
        rest = rest.removesuffix("({") + closing.removeprefix("})")
    body, _, types = rest.rpartition(" : ")
    if not types.startswith(("(", "tensor<")):  # `return` of nothing, say
        body, types = rest, ""
    operands = tuple(_OPERAND.findall(_STRING.sub("", body)))
    if op == "while":
        operands = tuple(value for _, value in _CARRIED.findall(body))
    return Statement(op, result, operands, body, _result_types(op, types), regions)


def _result_types(op: str, types: str) -> tuple[TensorType, ...]:
    """Return the types after the arrow; if there is none, the last one, or those of all values."""
    _, arrow, results = types.rpartition("-> ")
    result_types = tuple(tensor_type(match[0]) for match in _TENSOR.finditer(results))
    return result_types if arrow or op in _OF_ALL_OPERANDS else result_types[-1:]


def called_function(call: Statement) -> str:
    """Return the name of the function that a statement calls, as its declaration writes it."""
    match = _CALLED.match(call.text)
    return match[1] if match else ""


def same_rows(main: Function, parameters: Sequence[str]) -> bool:
    """Say whether a module asserts that parameters have the same size along their first axis."""
    of_size: dict[str, str] = {}
    for statement in main.statements:
        if statement.op == "get_dimension_size" and not any(int_list(statement.text, "dim")):
            of_size[statement.result] = statement.operands[0]
        if statement.op == "convert":
            of_size[statement.result] = of_size.get(statement.operands[0], "")
    equal = {
        statement.result: {of_size.get(operand, "") for operand in statement.operands}
        for statement in main.statements
        if statement.op == "compare" and statement.text.split(",")[0].strip() == "EQ"
    }
    asserted = [
        equal.get(statement.operands[0], set())
        for statement in main.statements
        if statement.text.lstrip().startswith("@shape_assertion(")
    ]
    same = set(parameters[:1])
    for _ in asserted:
        same.update(
            *(pair for pair in asserted if len(pair) == 2 and "" not in pair and same & pair)
        )
    return same.issuperset(parameters)


def tensor_type(text: str) -> TensorType:
    """Return a type from its text, such as ``tensor<?x8xf32>``.

    Raises:
        NotOpened: It is of another kind.
    """
    match = _TENSOR.fullmatch(text)
    if match is None:
        raise NotOpened(f"its module has values of type {text[:40]}")
    sizes = (None if size == "?" else int(size) for size in match[1].split("x")[:-1])
    return TensorType(tuple(sizes), match[2])


def int_list(text: str, key: str) -> tuple[int, ...]:
    """Return the integers of an attribute such as ``dims = [0, 1]``; none where it is missing."""
    match = re.search(rf"\b{key} = (?:array<i64: )?\[?([-\d, ]*)", text)
    return tuple(map(int, match[1].replace(" ", "").split(","))) if match and match[1] else ()
