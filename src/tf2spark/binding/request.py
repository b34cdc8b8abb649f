"""What a call asks of a model: which inputs are fed and how, and which outputs become columns.

A `Request` knows the model but no table. A `udf` ships it to the workers, where the types of the
columns become known and `bind` turns it into a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property

from attrs import frozen

from tf2spark.binding.advice.feeds import feed_advice
from tf2spark.binding.constants import likely_feed
from tf2spark.binding.feeds import Feed, Output, columns_of
from tf2spark.binding.messages import input_text, listed, near_names, output_text
from tf2spark.binding.outputs import RunRows, check_output, no_column
from tf2spark.errors import ContractError
from tf2spark.saved_model.contract import TensorSpec


@frozen
class FedInput:
    """One input and what feeds it.

    Attributes:
        spec: The input.
        feed: What feeds it.
        by_name: The call has no feed for it, so it takes the column of its own name.
        optional: If there is no such column, the model's own default applies.
        exact: Rows aren't padded: see `InputPlan`.
    """

    spec: TensorSpec
    feed: Feed
    by_name: bool = False
    optional: bool = False
    exact: bool = False


@frozen
class FetchedOutput:
    """One output and the column that it becomes."""

    column: str
    spec: TensorSpec
    output: Output


@frozen
class Request:
    """Inputs with their feeds and outputs with their columns: the model's half of a plan.

    Attributes:
        inputs: The inputs.
        outputs: The outputs.
        state_rows: The batch size of the state that the model keeps, if that is the first dimension
            of an output too.
        left_out: Outputs that aren't fetched because no column holds them, each with the reason.
        by_default: The call names no outputs, so those that no column holds can be left out.
    """

    inputs: tuple[FedInput, ...]
    outputs: tuple[FetchedOutput, ...]
    state_rows: int | None = None
    left_out: tuple[tuple[str, str], ...] = ()
    by_default: bool = False

    @cached_property
    def paths(self) -> list[str]:
        """The columns that feed the inputs."""
        return [column.path for fed in self.inputs for column in columns_of(fed.feed)]


@frozen
class Unfed:
    """Tensors that fetched ones depend on and that nothing feeds yet.

    Attributes:
        required: Those without a value: placeholders, and inputs of the signature.
        optional: Those for which the model has a default.
    """

    required: frozenset[str]
    optional: frozenset[str] = frozenset()


@frozen
class Graph:
    """What a request needs to know about the graph beyond its signatures.

    Attributes:
        find: Returns the spec of a raw tensor name, or raises `ContractError`.
        unfed: Takes the names of the fetched tensors, of the fed tensors and of the tensors of the
            signature's inputs. Returns which of these inputs' tensors, and which placeholders, the
            fetched tensors depend on.
        state_rows: Takes the names of the fetched and of the fed tensors. Returns the first
            dimensions of the variables that such a run writes.
    """

    find: Callable[[str], TensorSpec]
    unfed: Callable[[Collection[str], Collection[str], Collection[str]], Unfed]
    state_rows: Callable[[Collection[str], Collection[str]], Collection[int]] = lambda *_: ()


def first_dims(specs: Iterable[TensorSpec]) -> set[int]:
    """Return the sizes of the first dimensions that aren't free."""
    return {spec.shape[0] for spec in specs if spec.shape and spec.shape[0] is not None}


def leave_out(
    outputs: Sequence[FetchedOutput], rows: RunRows
) -> tuple[list[FetchedOutput], list[tuple[str, str]]]:
    """Return the outputs that columns can hold, and the others with the reasons.

    Raises:
        ContractError: No column can hold any.
    """
    problems = {fetched.column: no_column(fetched.spec, rows) for fetched in outputs}
    kept = [fetched for fetched in outputs if problems[fetched.column] is None]
    if not kept:
        # Of the problems, that of a shape may be solved by another call.
        check_output(min(outputs, key=lambda fetched: fetched.spec.dtype.arrow is None).spec, rows)
    left_out = [
        (fetched.spec.name, f"{output_text(fetched.spec)} {problem[0]}")
        for fetched in outputs
        if (problem := problems[fetched.column]) is not None
    ]
    return kept, left_out


def check_columns(request: Request, names: Sequence[str]) -> None:
    """Check that every input that is matched by name has a column.

    Raises:
        ContractError: Some have none; the advice is the feed for all of them.
    """
    missing = [
        fed.spec
        for fed in request.inputs
        if fed.by_name and not fed.optional and fed.spec.name not in names
    ]
    if not missing:
        return
    feeds = feed_advice({spec.name: likely_feed(spec, names) for spec in missing})
    if all(near_names(spec.name, names) for spec in missing):
        advice = "did you mean " + feeds + "?"
    else:
        advice = f"say what feeds {'it' if len(missing) == 1 else 'them'}: " + feeds
    columns = f"its columns are {listed(names)}" if names else "it has no columns"
    inputs = " and ".join(input_text(spec) for spec in missing)
    raise ContractError(f"the table has no column for {inputs}; {columns}", advice)
