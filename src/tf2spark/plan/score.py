"""What a worker needs to score: frozen, serializable values, all decided on the driver."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import pyarrow as pa
from attrs import evolve, field, frozen

from tf2spark.dtypes import DType
from tf2spark.errors import Audience
from tf2spark.package.manifest import FileEntry, Weight
from tf2spark.package.op_libraries import OpLibrary
from tf2spark.plan.row_names import ShownColumn
from tf2spark.shown_text import shown

Mode = Literal["failfast", "permissive", "dropmalformed"]
RowRelation = Literal["independent", "unknown", "batch"]
"""Whether a row's outputs depend on the other rows of its batch ("batch") or not."""
Layout = Literal["list", "vector", "pairs", "map", "image"]
VectorField = Literal["indices", "values", "size"]
Form = Literal["dense", "padded", "sparse", "ragged", "constant", "broadcast", "example"]
OutputForm = Literal["dense", "sparse", "ragged"]


@frozen
class Source:
    """Where one column's values lie in a batch, and how they are laid out.

    Attributes:
        label: The column as the user wrote it, for messages.
        column: Its index in the batch.
        fields: The names of the struct fields from the column down to the values.
        layout: "list" (a scalar, or lists `depth` deep), "vector" (MLlib's), "pairs" (a struct of
            indices and values), "map" (id to value) or "image" (Spark's image struct).
        leaf: The type of the innermost values (of the part that is read).
        depth: Levels of lists around the innermost values; 0 for a scalar.
        part: Which half of a vector, of pairs or of a map is read; None for the whole.
    """

    label: str
    column: int
    fields: tuple[str, ...]
    layout: Layout
    leaf: pa.DataType
    depth: int = 0
    part: VectorField | None = None


@frozen
class Feature:
    """How a column becomes a feature of serialized ``tf.Example`` messages.

    Attributes:
        key: Its key in the Example.
        dtype: float32, int64 or string: the lists of ``tf.train.Feature``.
        dims: The dimensions of a row's values (of a step's, in a feature list); None for any number
            of values. A first dimension of None is free.
        required: A row without a value is refused; otherwise its Example has no such feature.
        skip_nulls: Nulls among a row's values are left out; otherwise its row is refused.
        is_list: It is a feature list of a ``tf.SequenceExample``: the outer lists are its steps.
    """

    key: str
    dtype: DType
    dims: tuple[int | None, ...] | None = None
    required: bool = False
    skip_nulls: bool = False
    is_list: bool = False


@frozen
class InputPlan:
    """How the columns of a batch become the tensors of one input.

    Attributes:
        name: The input's name, for messages.
        tensors: The graph tensors that are fed (several for sparse and ragged inputs).
        form: "dense" (rectangular), "padded", "sparse", "ragged", "constant" (the same tensor
            in every run), "broadcast" (one value for every row of the batch) or "example" (all
            columns of a row packed into one serialized ``tf.Example``).
        dtype: The dtype of the values.
        dims: The dimensions of one row (without the batch dimension); an unknown one is None.
        sources: The columns, in order.
        assembled: The sources are joined as vectors (ids offset by the sizes before them).
        part: Which half of the assembled vector is fed.
        pad: The value that fills short rows.
        value: The value of a constant, as nested lists.
        splits_dtype: The dtype of a ragged input's row splits.
        ragged_levels: How many levels of a ragged input are ragged.
        exact: Rows of a padded input aren't padded: a shorter one is refused.
        batched: The first dimension of the tensor is the batch. Otherwise the tensor is one row,
            without that dimension, and every run has one row.
        features: What each source becomes in an Example.
    """

    name: str
    tensors: tuple[str, ...]
    form: Form
    dtype: DType
    dims: tuple[int | None, ...] = ()
    sources: tuple[Source, ...] = ()
    assembled: bool = False
    part: VectorField | None = None
    pad: Any = None
    value: Any = None
    splits_dtype: DType | None = None
    ragged_levels: int = 0
    exact: bool = False
    batched: bool = True
    features: tuple[Feature, ...] = ()


@frozen
class OutputPlan:
    """How an output becomes a column.

    Attributes:
        column: The column's name.
        name: The output's name, for messages.
        tensors: The graph tensors that are fetched (several for sparse and ragged outputs, in the
            order of `TensorSpec.tensors`).
        dtype: The dtype of the values.
        dims: The dimensions of one row; an unknown one is None.
        arrow: The column's type. Dense: a scalar for rows of shape [] and [1], else a list per
            dimension. Ragged: a list per dimension. Sparse: see `sparse_builder`.
        form: "dense", "sparse" or "ragged".
        batched: The first dimension is the batch. Otherwise the whole output is the value of the
            one row of a run.
    """

    column: str
    name: str
    tensors: tuple[str, ...]
    dtype: DType
    dims: tuple[int | None, ...]
    arrow: pa.DataType
    form: OutputForm = "dense"
    batched: bool = True


Storage = Literal["folder", "package", "shipped", "own"]
"""Where a model's files are: under their paths in its folder, under their stored names in a
package, or shipped with the job. A folder of tf2spark's "own" was written for this job and nobody
else writes to it, so it is opened where it is; the others are copied into the host's cache."""


@frozen
class Initialization:
    """What is run once after a model was loaded, beyond what TensorFlow's C API runs itself.

    Attributes:
        ops: The names of the ops, which run together.
        assets: The tensors that are fed the paths of asset files: their names, and the files
            relative to ``assets/``.
    """

    ops: tuple[str, ...] = ()
    assets: tuple[tuple[str, str], ...] = ()


@frozen
class BroadcastFile:
    """A file of a model that goes out as Spark's broadcast variables.

    Attributes:
        sha256: The SHA-256 of its content.
        chunks: The variables, in order. The value of each is bytes.
    """

    sha256: str
    chunks: tuple[Any, ...]


@frozen
class ModelRef:
    """Which model a worker opens, and how.

    Attributes:
        path: Where it is: a folder that the worker sees, or the URI of a package.
        tags: The tags of its MetaGraph.
        digest: The SHA-256 over its files: it keys the worker's session and the host's cache.
        threads: CPUs that a session may use.
        divides_ops: Each op uses several of them; see `op_notes.divides_ops`.
        copy_strings: Strings must be fed as copies; see `op_check.retains_strings`.
        row_bytes: The bytes of a row in the largest tensor of a run, as far as the graph tells.
        files: Every file of the model: a session opens these bytes and no others.
        weights: The tensors that are mapped from files and fed in every run.
        storage: Where the files are before they are in the host's cache.
        cache: The folder of the host's cache; None for the default.
        cache_bytes: How large it may grow; None for the default.
        op_libraries: The libraries of custom ops that are loaded before it.
        custom_ops: The ops of its graph that only these libraries can provide.
        initialization: What is run once after it was loaded.
        broadcast: Its files that are shipped as broadcast variables.
        limit_seconds: How long a run in a Spark task, or loading the model there, may take; None
            for no limit.
    """

    path: str = field(repr=lambda path: repr(shown(path)))
    tags: tuple[str, ...]
    digest: str
    threads: int = 1
    divides_ops: bool = False
    copy_strings: bool = False
    row_bytes: int = 0
    files: tuple[FileEntry, ...] = ()
    weights: tuple[Weight, ...] = ()
    storage: Storage = "folder"
    cache: str | None = None
    cache_bytes: int | None = None
    op_libraries: tuple[OpLibrary, ...] = ()
    custom_ops: tuple[str, ...] = ()
    initialization: Initialization = Initialization()
    broadcast: tuple[BroadcastFile, ...] = field(default=(), repr=False)
    limit_seconds: float | None = None
    openings: Any = field(default=None, repr=False, eq=False)


@frozen
class Plan:
    """One scoring job.

    Attributes:
        model: The model to open.
        inputs: How batches become feeds.
        outputs: How fetches become columns.
        keep: Indices of the batch's columns that are passed on, in order.
        mode: What happens to a row that can't be scored.
        error_column: The column with the reason why a row has no outputs, in "permissive" mode.
        model_column: The column with the digest of the model that scored the row.
        batch_rows: The most rows of one session run.
        batch_bytes: The most bytes that the feeds of one run may take (a single row may take more).
        fixed_rows: Every run has exactly this many rows, the last padded; None if runs vary.
        extra_columns: Indices of columns that are read but feed no input (`recommend`).
        shown: The columns that name a row in messages and in the error column.
        audience: Who reads the worker's messages; None if advice would be of no use to them.
        rows: If rows depend on each other, a batch is scored whole or not at all. If that is
            unknown, the worker finds out before it splits a batch or pads it.
        reproducible: Runs are padded to `fixed_rows` so that bits repeat, which can't be done if
            rows depend on each other.
    """

    model: ModelRef
    inputs: tuple[InputPlan, ...]
    outputs: tuple[OutputPlan, ...]
    keep: tuple[int, ...] = ()
    mode: Mode = "failfast"
    error_column: str | None = None
    batch_rows: int = 4096
    batch_bytes: int = 64 << 20
    fixed_rows: int | None = None
    model_column: str | None = None
    extra_columns: tuple[int, ...] = ()
    shown: tuple[ShownColumn, ...] = ()
    audience: Audience | None = "python"
    rows: RowRelation = "independent"
    reproducible: bool = False

    def output_fields(self) -> list[pa.Field]:
        """Return the columns that scoring adds: the outputs, the error and the model column."""
        fields = [pa.field(output.column, output.arrow) for output in self.outputs]
        for name in (self.error_column, self.model_column):
            if name is not None:
                fields.append(pa.field(name, pa.string()))
        return fields


def read_columns(plan: Plan) -> list[int]:
    """Return the indices of the columns that a run of the model reads, in the table's order."""
    fed = {source.column for spec in plan.inputs for source in spec.sources}
    return sorted({*fed, *plan.extra_columns})


def traveling_columns(plan: Plan) -> list[int]:
    """Return the indices of the columns that a worker needs, those that a run reads first."""
    others = [*plan.keep, *(shown.column for shown in plan.shown)]
    # A batch without columns would have no rows, so there is always one.
    return read_first(read_columns(plan), others) or [0]


def columns_read_first(plan: Plan, count: int) -> list[int]:
    """Return the indices of all of a table's `count` columns, those that a run reads first."""
    return read_first(read_columns(plan), range(count))


def read_first(read: Iterable[int], others: Iterable[int]) -> list[int]:
    """Return the indices of columns in the order in which they travel to workers.

    Those that a run reads come first, so that the worker finds them together at the front of a
    batch; those that are only kept, or only name rows, follow.
    """
    first = set(read)
    return [*sorted(first), *sorted(set(others) - first)]


def renumber(plan: Plan, columns: Sequence[int]) -> Plan:
    """Return the plan for batches that have just these columns of the table, in this order."""
    position = {column: index for index, column in enumerate(columns)}
    inputs = tuple(
        evolve(
            spec,
            sources=tuple(
                evolve(source, column=position[source.column]) for source in spec.sources
            ),
        )
        for spec in plan.inputs
    )
    return evolve(
        plan,
        inputs=inputs,
        keep=tuple(position[column] for column in plan.keep),
        extra_columns=tuple(position[column] for column in plan.extra_columns),
        shown=_renumber_shown(plan.shown, position),
    )


def _renumber_shown(
    shown: tuple[ShownColumn, ...], position: dict[int, int]
) -> tuple[ShownColumn, ...]:
    present = (column for column in shown if column.column in position)
    return tuple(evolve(column, column=position[column.column]) for column in present)
