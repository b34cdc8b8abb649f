"""What became of an application's tasks, in words and as a table."""

from __future__ import annotations

from pyspark.sql import SparkSession

from cases.models import case, path_of
from tf2spark import SavedModel
from tf2spark.spark.facts.tasks import TaskFacts, next_stage, task_facts

_FACTS = TaskFacts(
    tasks=96, failed=3, workers_lost=2, executors_lost=1, slowest_seconds=8.0, slowest_partition=7,
    slowest_rows=12_000, slowest_host="node3", median_seconds=2.0, median_rows=3_000,
    models_opened=4, opening_seconds=0.75,
)  # fmt: skip


def test_text() -> None:
    """One sentence for the log."""
    assert str(_FACTS) == (
        "96 done, 3 attempts failed (2 with a Python worker that ended), 1 executor lost; "
        "the middle one took 2.0 s for 3,000 rows, the slowest 8.0 s for 12,000 rows (partition 7),"
        " 4.0 times as long; models opened 4 times, the slowest in 0.8 s"
    )
    assert str(TaskFacts(tasks=1)) == "1 done, 0 attempts failed"


def test_pairs() -> None:
    """The same for the report; what isn't known is left out."""
    pairs = dict(_FACTS.pairs())
    assert pairs["slowest"] == "8.0 s for 12,000 rows (partition 7), node3"
    assert pairs["skew (slowest / middle)"] == "4.0"
    assert (pairs["Python workers lost"], pairs["executors lost"]) == ("2", "1")
    assert (pairs["models opened"], pairs["slowest opening"]) == ("4", "0.8 s")
    assert "skew (slowest / middle)" not in dict(TaskFacts(tasks=1).pairs())


def test_of_an_application(spark: SparkSession) -> None:
    """Workers count the models that they open: none for the second query of a model."""
    model, before = SavedModel(path_of(case("keras_mlp"))), task_facts(spark)
    assert before is not None
    scored = model.score(spark.createDataFrame(case("keras_mlp").table(8).to_pandas()).coalesce(1))
    scored.collect()
    first = task_facts(spark)
    scored.collect()
    second = task_facts(spark)
    assert first is not None
    assert second is not None
    assert first.models_opened - before.models_opened <= 1 <= first.models_opened
    assert second.models_opened == first.models_opened
    assert second.tasks > first.tasks > before.tasks
    assert second.opening_seconds > 0
    none = task_facts(spark, next_stage(spark))
    assert none is not None
    assert (none.tasks, none.slowest_partition) == (0, None)
