"""`spark.memory_limit`: what TensorFlow and a model need, and what the manual asks for."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from tf2spark.errors import SetupError
from tf2spark.package.manifest import FileEntry
from tf2spark.plan.score import ModelRef
from tf2spark.spark.facts.containers import Container
from tf2spark.spark.memory_limit import (
    check_worker_memory,
    documented_mib,
    loaded_mib,
    low_container,
    low_memory,
    refuse_container,
)


def model(variables_mib: int, weights_mib: int = 0) -> ModelRef:
    """Return a model of a graph of 1 MiB, with variables, and with weights that are mapped."""
    sizes = {
        "saved_model.pb": 1,
        "variables/variables.data-00000-of-00001": variables_mib,
        "weights/0": weights_mib,
    }
    files = tuple(FileEntry(path, path, size << 20) for path, size in sizes.items())
    return ModelRef("/models/ctr", ("serve",), "digest", files=files)


def session(limit: str | None) -> Any:
    """Return a session with this limit, as far as the check sees it."""
    return SimpleNamespace(conf={"spark.executor.pyspark.memory": limit} if limit else {})


@pytest.mark.parametrize("limit", [None, "1640m", "2g"])
def test_enough_memory_is_accepted(limit: str | None) -> None:
    """No limit, or one that TensorFlow fits in."""
    check_worker_memory(session(limit))


@pytest.mark.parametrize("limit", ["1639m", "1g"])
def test_too_little_memory_is_refused(limit: str) -> None:
    """One MiB too little is refused, with the setting and the value that is needed."""
    with pytest.raises(SetupError, match=r"1,640 MiB; set spark\.executor\.pyspark\.memory=2g"):
        check_worker_memory(session(limit))


def pods(**settings: str) -> Any:
    """Return a session on Kubernetes, as far as the check sees it."""
    names = {name.replace("_", "."): value for name, value in settings.items()}
    return SimpleNamespace(conf={"spark.master": "k8s://https://host:6443", **names})


def test_each_worker_loads_variables_but_not_the_weights_of_a_package() -> None:
    """Weights are mapped from files that workers share."""
    assert loaded_mib(model(700, weights_mib=2000)) == 701


@pytest.mark.parametrize(
    ("workers", "mebibytes"), [(1, 1024 + 801), (4, 1024 + 801 + 3 * (512 + 701))]
)
def test_the_manual_asks_for_a_gibibyte_and_the_model(workers: int, mebibytes: int) -> None:
    """Each worker beside the first loads the variables again."""
    limited = Container("YARN", 0, None, workers)
    assert documented_mib(limited, model(700, weights_mib=100)) == mebibytes
    assert documented_mib(Container("YARN", 0, None)) == 1024


@pytest.mark.parametrize(("platform", "least"), [("YARN", 400), ("Kubernetes", 150)])
def test_a_container_in_which_a_model_cannot_fit_is_refused(platform: Any, least: int) -> None:
    """One MiB too little is; the message has the setting and the value."""
    refuse_container(Container(platform, 0, least + 701), model(700))
    with pytest.raises(SetupError, match="MiB at the least, 701 MiB") as caught:
        refuse_container(Container(platform, 0, least + 700), model(700))
    text = str(caught.value)
    assert f"uses {least + 701:,} MiB at the least" in text
    assert f"{platform} ends an executor that uses more than {least + 700:,} MiB" in text
    assert "set spark.executor.memoryOverhead=1725m or more" in text
    assert "set spark.tf2spark.memoryCheck=false" in text


def test_nothing_is_refused_where_the_container_is_not_known() -> None:
    """Nor for weights that workers share."""
    refuse_container(Container("YARN", 100, None), model(10_000))
    refuse_container(Container("YARN", 100, 1024), model(10, weights_mib=10_000))


def test_less_than_the_manual_asks_for_is_told() -> None:
    """With the value to set; as much as it asks for isn't."""
    assert low_container(Container("YARN", 1725, 2749), model(700)) is None
    low = low_container(Container("YARN", 1724, 2748), model(700))
    assert "leaves 1,724 MiB of an executor to Python, and /models/ctr may" in str(low)
    assert "set spark.executor.memoryOverhead=1725m" in str(low)
    assert "TensorFlow in 2 workers" in str(low_container(Container("YARN", 1024, 2048, 2)))


def test_it_is_logged_once_an_application(caplog: pytest.LogCaptureFixture) -> None:
    """However many calls there are."""
    with caplog.at_level(logging.WARNING, "tf2spark.memory"):
        for application in ("app-1", "app-1", "app-2"):
            check_worker_memory(pods(spark_app_id=application), model(10))
    assert [each.levelname for each in caplog.records] == ["WARNING"] * 2
    assert "set spark.executor.memoryOverhead=1035m" in caplog.text


def test_a_setting_turns_the_check_off() -> None:
    """For clusters that don't watch memory."""
    with pytest.raises(SetupError, match="Kubernetes ends an executor"):
        low_memory(pods(), model(10_000))
    assert low_memory(pods(spark_tf2spark_memoryCheck="false"), model(10_000)) is None
