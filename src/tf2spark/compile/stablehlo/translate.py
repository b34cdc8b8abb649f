"""Translates the functions of a module, from what the result needs.

Calls are followed and loops are unrolled, with a limit on all statements: a small module can call
itself up to any size.
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
    Region,
    Statement,
    TensorType,
    called_function,
)
from tf2spark.compile.stablehlo.products import PRODUCTS
from tf2spark.compile.stablehlo.values import Known, Nodes, Value
from tf2spark.compile.stablehlo.windows import WINDOWS

MAX_STATEMENTS = 20_000
_MAX_DEPTH = 50
_TRANSLATIONS: Mapping[str, Translation] = {
    **ELEMENTWISE,
    **LAYOUT,
    **LOOKUPS,
    **PRODUCTS,
    **WINDOWS,
}
_Values = dict[str, Value]


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
        values: _Values = {}
        for (parameter, kind), argument in zip(function.parameters, arguments, strict=True):
            values[parameter] = _checked(argument, kind, "a parameter")
        if name not in self.needed:
            self.needed[name] = _needed(function)
        return self._run(self.needed[name], function.returned, values, depth)

    def _run(
        self, statements: Sequence[Statement], returned: Sequence[str], values: _Values, depth: int
    ) -> list[Value]:
        if depth > _MAX_DEPTH:
            raise NotOpened("the functions of its module call each other too deeply")
        self._count()  # a loop without a statement would have no end
        for statement in statements:
            self._count()
            self._translate(statement, values, depth)
        return [_value(values, operand) for operand in returned]

    def _count(self) -> None:
        self.statements += 1
        if self.statements > MAX_STATEMENTS:
            raise NotOpened(f"its module has more than {MAX_STATEMENTS:,} statements")

    def _translate(self, statement: Statement, values: _Values, depth: int) -> None:
        inputs = [_value(values, operand) for operand in statement.operands]
        results = self._results(statement, inputs, values, depth)
        if len(results) != len(statement.types):
            raise NotOpened(f"its {statement.op} has another number of results")
        for index, (value, kind) in enumerate(zip(results, statement.types, strict=True)):
            values[f"{statement.result}#{index}"] = _checked(value, kind, statement.op)

    def _results(
        self, statement: Statement, inputs: list[Value], values: _Values, depth: int
    ) -> list[Value]:
        match statement.op:
            case "call":
                return self.call(called_function(statement), inputs, depth + 1)
            case "optimization_barrier":
                return inputs
            case "case":
                return self._case(statement, inputs, values, depth + 1)
            case "while":
                return self._loop(statement, inputs, values, depth + 1)
        return [_translation(statement)(Call(self.nodes, statement, inputs))]

    def _case(
        self, statement: Statement, inputs: Sequence[Value], values: _Values, depth: int
    ) -> list[Value]:
        """Translate the branch that is taken, which must be known: that of a platform, say."""
        (chosen,) = Call(self.nodes, statement, inputs).sizes_from(0)
        if not isinstance(chosen, int):
            raise NotOpened("its case depends on the number of rows")
        last = len(statement.regions) - 1
        # Any other number takes the last branch.
        region = statement.regions[chosen if 0 <= chosen <= last else last]
        return self._run(_needed(region), region.returned, dict(values), depth)

    def _loop(
        self, statement: Statement, state: list[Value], values: _Values, depth: int
    ) -> list[Value]:
        """Unroll a loop whose number of steps is known, as that of `jax.lax.scan` is."""
        condition, body = statement.regions
        needed = {id(region): _needed(region) for region in statement.regions}
        while True:
            state = [
                _checked(value, kind, "a loop")
                for value, kind in zip(state, statement.types, strict=True)
            ]
            inner = {**values, **dict(zip(condition.parameters, state, strict=True))}
            (goes_on,) = self._run(needed[id(condition)], condition.returned, dict(inner), depth)
            if not isinstance(goes_on, Known):
                raise NotOpened("its module has a loop whose number of steps isn't constant")
            if not goes_on.array:
                return state
            state = self._run(needed[id(body)], body.returned, inner, depth)


def _translation(statement: Statement) -> Translation:
    if statement.op not in _TRANSLATIONS:
        raise NotOpened(f"its module has the op {statement.op[:40]}, which isn't translated")
    return _TRANSLATIONS[statement.op]


def _needed(code: Function | Region) -> list[Statement]:
    """Return the statements that the results need, in order.

    Raises:
        NotOpened: One does more than to compute.
    """
    wanted = {operand.partition("#")[0] for operand in code.returned}
    needed = []
    for statement in reversed(code.statements):
        _refuse_effects(statement)
        if not wanted.isdisjoint(statement.result.split(", ")):
            needed.append(statement)
            wanted.update(_read(statement))
    return needed[::-1]


def _read(statement: Statement) -> set[str]:
    """Return the names that a statement reads, with those that the code within it reads."""
    names = {operand.partition("#")[0] for operand in statement.operands}
    for region in statement.regions:
        names.update(operand.partition("#")[0] for operand in region.returned)
        names.update(*map(_read, region.statements))
    return names


def _refuse_effects(statement: Statement) -> None:
    for region in statement.regions:
        for inner in region.statements:
            _refuse_effects(inner)
    called = statement.text.lstrip().partition("(")[0]
    # The inputs of a call of `recommend` have the same number of rows, which is what is asserted.
    if statement.op == "custom_call" and called != "@shape_assertion":
        raise NotOpened("its module calls code from outside")
    if not statement.result and statement.op != "custom_call":
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
