"""Translates the functions of a module, from what the result needs.

Calls are followed, with a limit on all statements: a small module can call itself up to any size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import Factory, define

from tf2spark.compile.stablehlo.call import Call, Translation
from tf2spark.compile.stablehlo.elementwise import ELEMENTWISE
from tf2spark.compile.stablehlo.gather import LOOKUPS
from tf2spark.compile.stablehlo.layout import LAYOUT
from tf2spark.compile.stablehlo.module_text import (
    Function,
    NotOpened,
    Statement,
    TensorType,
    called_function,
)
from tf2spark.compile.stablehlo.products import PRODUCTS
from tf2spark.compile.stablehlo.values import Nodes, Value

MAX_STATEMENTS = 20_000
_MAX_DEPTH = 50
_TRANSLATIONS: Mapping[str, Translation] = {**ELEMENTWISE, **LAYOUT, **LOOKUPS, **PRODUCTS}
# Code of an op before it, which is refused if the result needs it.
_REGIONS = frozenset({"cond", "do", "reducer"})


@define
class Module:
    """A module while it is translated.

    Attributes:
        functions: Its functions.
        nodes: The nodes that are added.
        statements: How many statements were translated.
        needed: The statements that the results of a function need, by its name.
    """

    functions: Mapping[str, Function]
    nodes: Nodes
    statements: int = 0
    needed: dict[str, list[Statement]] = Factory(dict)

    def call(self, name: str, arguments: Sequence[Value], depth: int = 0) -> list[Value]:
        """Translate a function.

        Raises:
            NotOpened: It has something that isn't translated.
        """
        function = self.functions.get(name)
        if function is None or len(function.parameters) != len(arguments):
            raise NotOpened("its module calls a function that it doesn't have")
        if depth > _MAX_DEPTH:
            raise NotOpened("the functions of its module call each other too deeply")
        values: dict[str, Value] = {}
        for (parameter, kind), argument in zip(function.parameters, arguments, strict=True):
            values[parameter] = _checked(argument, kind, "a parameter")
        if name not in self.needed:
            self.needed[name] = _needed(function)
        for statement in self.needed[name]:
            self._count()
            self._translate(statement, values, depth)
        return [_value(values, operand) for operand in function.returned]

    def _count(self) -> None:
        self.statements += 1
        if self.statements > MAX_STATEMENTS:
            raise NotOpened(f"its module has more than {MAX_STATEMENTS:,} statements")

    def _translate(self, statement: Statement, values: dict[str, Value], depth: int) -> None:
        inputs = [_value(values, operand) for operand in statement.operands]
        if statement.op == "call":
            results = self.call(called_function(statement), inputs, depth + 1)
        elif statement.op == "optimization_barrier":
            results = inputs
        else:
            results = [_translation(statement)(Call(self.nodes, statement, inputs))]
        if len(results) != len(statement.types):
            raise NotOpened(f"its {statement.op} has another number of results")
        for index, (value, kind) in enumerate(zip(results, statement.types, strict=True)):
            values[f"{statement.result}#{index}"] = _checked(value, kind, statement.op)


def _translation(statement: Statement) -> Translation:
    if statement.has_region or statement.op not in _TRANSLATIONS:
        raise NotOpened(f"its module has the op {statement.op[:40]}, which isn't translated")
    return _TRANSLATIONS[statement.op]


def _needed(function: Function) -> list[Statement]:
    """Return the statements that the results need, in order.

    Raises:
        NotOpened: One does more than to compute.
    """
    wanted = {operand.partition("#")[0] for operand in function.returned}
    needed = []
    for statement in reversed(function.statements):
        _refuse_effects(statement)
        if statement.result in wanted:
            needed.append(statement)
            wanted.update(operand.partition("#")[0] for operand in statement.operands)
    return needed[::-1]


def _refuse_effects(statement: Statement) -> None:
    called = statement.text.lstrip().partition("(")[0]
    # The inputs of a call of `recommend` have the same number of rows, which is what is asserted.
    if statement.op == "custom_call" and called != "@shape_assertion":
        raise NotOpened("its module calls code from outside")
    if not statement.result and statement.op not in (*_REGIONS, "custom_call"):
        raise NotOpened(f"its module has the op {statement.op[:40]}, which computes nothing")


def _value(values: Mapping[str, Value], operand: str) -> Value:
    value = values.get(operand)
    value = values.get(f"{operand}#0") if value is None else value
    if value is None:
        raise NotOpened("its module uses a value before it is computed")
    return value


def _checked(value: Value, kind: TensorType, what: str) -> Value:
    """Return a value, if it has the sizes that the module declares."""
    same_rank = len(value.sizes) == len(kind.sizes)
    if not same_rank or any(
        declared is not None and declared != size
        for declared, size in zip(kind.sizes, value.sizes, strict=True)
    ):
        raise NotOpened(f"the sizes of {what} aren't those that its module declares")
    return value
