"""`spark.facts.containers`: what YARN and Kubernetes let an executor have."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.resource import ExecutorResourceRequests, ResourceProfileBuilder, TaskResourceRequests

from tf2spark.spark.facts import containers
from tf2spark.spark.facts.containers import Container, container, memory_mib

_YARN, _PODS = "yarn", "k8s://https://host:6443"


@pytest.mark.parametrize(
    ("text", "mebibytes"),
    [
        ("2g", 2048),
        ("1536m", 1536),
        ("1024", 1024),
        (" 512 MB ", 512),
        ("1t", 2**20),
        ("2048k", 2),
        ("1048576b", 1),
        ("much", None),
        ("-1g", None),
        ("1.5g", None),
        ("", None),
    ],
)
def test_sizes_are_read_as_spark_writes_them(text: str, mebibytes: float | None) -> None:
    """A number and a unit, mebibytes without one; None for anything else."""
    assert memory_mib(text) == mebibytes


def session(master: str, settings: dict[str, str]) -> Any:
    return SimpleNamespace(conf={"spark.master": master, **settings})


@pytest.fixture
def hadoop(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Hadoop's settings, which grant what is asked for, and watch it."""
    settings = {
        "yarn.scheduler.minimum-allocation-mb": "1",
        "yarn.nodemanager.resource.memory.enforced": "false",
    }
    monkeypatch.setattr(containers, "hadoop_configuration", lambda spark: settings)
    return settings


@pytest.mark.parametrize("master", ["local[2]", "spark://host:7077", "local-cluster[2,1,900]"])
def test_others_limit_nothing(master: str) -> None:
    """A standalone cluster doesn't watch what its executors use."""
    assert container(session(master, {"spark.executor.memoryOverhead": "1m"})) is None


@pytest.mark.parametrize(
    ("settings", "python", "total"),
    [
        ({}, 384, 1408),
        ({"memory": "10g"}, 1024, 11264),
        ({"memory": "10g", "memoryOverheadFactor": "0.3"}, 3072, 13312),
        ({"memory": "600m", "memoryOverhead": "100m"}, 100, 700),
        ({"memory": "600", "memoryOverhead": "100"}, 100, 700),
        ({"minMemoryOverhead": "500m"}, 500, 1524),
        ({"pyspark.memory": "2g"}, 2432, 3456),
    ],
)
def test_the_overhead_is_what_spark_computes(
    settings: dict[str, str], python: float, total: float, hadoop: dict[str, str]
) -> None:
    """A tenth of the heap, 384 MiB at the least, or what is set; Python's own limit is added."""
    named = {f"spark.executor.{name}": value for name, value in settings.items()}
    assert container(session(_YARN, named)) == Container("YARN", python, total)


def test_memory_off_the_heap_is_added(hadoop: dict[str, str]) -> None:
    """Where it is on."""
    settings = {"spark.memory.offHeap.size": "512m"}
    assert container(session(_YARN, settings)) == Container("YARN", 384, 1408)
    settings["spark.memory.offHeap.enabled"] = "true"
    assert container(session(_YARN, settings)) == Container("YARN", 384, 1920)


def test_pods_of_python_have_more() -> None:
    """Four tenths of the heap, or the share of Kubernetes alone."""
    assert container(session(_PODS, {})) == Container("Kubernetes", 410, 1434)
    settings = {"spark.executor.memory": "10g", "spark.kubernetes.memoryOverheadFactor": "0.1"}
    assert container(session(_PODS, settings)) == Container("Kubernetes", 1024, 11264)


@pytest.mark.parametrize(
    ("hadoop_settings", "total"),
    [
        ({"yarn.scheduler.minimum-allocation-mb": "1024"}, 2048),
        ({"yarn.scheduler.minimum-allocation-mb": "256"}, 1536),
        ({"yarn.resourcemanager.scheduler.class": "x.fair.FairScheduler"}, 2048),
        ({"yarn.nodemanager.pmem-check-enabled": "false"}, None),
        ({"yarn.nodemanager.resource.memory.enforced": "true"}, None),
        ({"yarn.nodemanager.elastic-memory-control.enabled": "true"}, None),
        (
            {
                "yarn.nodemanager.resource.memory.enforced": "true",
                "yarn.nodemanager.resource.memory.enabled": "true",
            },
            1408,
        ),
    ],
)
def test_yarn_grants_multiples(
    hadoop_settings: dict[str, str], total: float | None, hadoop: dict[str, str]
) -> None:
    """So a container may have more than was asked for; nothing is known where none is watched."""
    hadoop |= hadoop_settings
    assert container(session(_YARN, {})) == Container("YARN", 384, total)


def test_tasks_share_it(hadoop: dict[str, str]) -> None:
    """As many as an executor has cores for."""
    settings = {"spark.executor.cores": "8", "spark.task.cpus": "2"}
    assert container(session(_YARN, settings)) == Container("YARN", 384, 1408, workers=4)


def test_a_profile_has_its_own(hadoop: dict[str, str]) -> None:
    """What it doesn't name is the session's."""
    executor = ExecutorResourceRequests().memory("2g").memoryOverhead("1g").cores(4)
    tasks = TaskResourceRequests().cpus(2)
    profile = ResourceProfileBuilder().require(executor).require(tasks).build
    settings = {"spark.executor.pyspark.memory": "2g"}
    assert container(session(_YARN, settings), profile) == Container("YARN", 3072, 5120, workers=2)
