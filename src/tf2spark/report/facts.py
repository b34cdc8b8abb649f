"""What a report says of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import field, frozen

from tf2spark.saved_model.contract import Contract
from tf2spark.worker.statistics.task import OutputStatistics

Pairs = Sequence[tuple[str, str]]


@frozen(kw_only=True)
class WrittenTable:
    """What is known of the rows that a job wrote.

    Attributes:
        outputs: The names of the columns that the model computed.
        statistics: Their statistics; None where they couldn't be computed.
        note: Why there are none, or which outputs are left out.
        group_column: The column by which rows are grouped, if there is one.
        refused_rows: Some rows without scores, as texts by column.
        seconds: How long it took to read the output again.
    """

    outputs: Sequence[str]
    statistics: OutputStatistics | None = None
    note: str = ""
    group_column: str | None = None
    refused_rows: Sequence[Mapping[str, str]] = ()
    seconds: float = 0.0


@frozen(kw_only=True)
class JobFacts:
    """A job that succeeded.

    Attributes:
        command: "score" or "recommend".
        unit: The plural of what is counted: "rows" or "users".
        model: Where the model is.
        digest: Its digest, with the name of the hash.
        contract: Its inputs and outputs.
        started: When the job started, in local time.
        phases: How long each part took, in seconds, by name.
        rows_in: How many rows were read.
        rows_out: How many rows were written.
        refused: How many rows have no scores, or were dropped.
        drops: Refused rows were dropped, so that their reasons aren't known.
        pairs: How many pairs of a user and an item were scored; None for other jobs.
        k: How many items a user gets at most; None for other jobs.
        tables: What was read and written, by role.
        feed: What feeds each input.
        plan: How the job ran, as lines of text.
        options: The options of the call that aren't defaults.
        settings: Spark's settings.
        versions: Versions of all that took part.
        written: What was written.
        driver_peak_bytes: The most memory that this process has used.
        tasks: What became of its tasks, and how often the model was opened.
        jvm_peaks: The most memory that Spark's JVMs have used, in bytes, by what they are.
    """

    command: str
    unit: str
    model: str
    digest: str
    contract: Contract
    started: datetime
    phases: Mapping[str, float]
    rows_in: int
    rows_out: int
    refused: int
    drops: bool = False
    pairs: int | None = None
    k: int | None = None
    tables: Pairs = ()
    feed: Pairs = ()
    plan: Sequence[str] = ()
    options: Pairs = ()
    settings: Pairs = ()
    versions: Pairs = ()
    written: WrittenTable = field()
    driver_peak_bytes: int | None = None
    tasks: Pairs = ()
    jvm_peaks: Sequence[tuple[str, int]] = ()

    @property
    def seconds(self) -> float:
        """How long the job took, without the report."""
        return sum(self.phases.values())

    @property
    def working_seconds(self) -> float:
        """How long the job took without opening Spark, the model and the tables."""
        return self.seconds - self.phases.get("opening", 0.0)
