"""Broadcast variables as the blocks in which Spark's driver and executors keep them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyspark.sql import SparkSession

from tf2spark.spark.jvm.access import JavaError, java_class, jvm, private_attribute

if TYPE_CHECKING:
    from pyspark import Broadcast


def broadcast_id(variable: Broadcast[Any]) -> int:
    """Return the number of a broadcast variable.

    Assumes `Broadcast._jbroadcast`.

    Raises:
        SetupError: The variable has none.
    """
    return int(private_attribute(variable, "_jbroadcast").id())


def block_manager(spark: SparkSession) -> Any:
    """Return the driver's `BlockManager`, which holds broadcast variables.

    Assumes `SparkContext._jsc`, and Spark's `SparkEnv.blockManager`. It is read as a field: py4j
    looks at all methods of a class, and one of this class's needs Protobuf, which Spark 4.3 lacks.

    Raises:
        SetupError: The context has no JVM that can be reached this way.
        JavaError: This Spark has no such field.
    """
    environment = private_attribute(spark.sparkContext, "_jsc").sc().env()
    manager = java_class(spark, "org.apache.spark.SparkEnv").getDeclaredField("blockManager")
    manager.setAccessible(True)
    return manager.get(environment)


@contextmanager
def driver_without_blocks(spark: SparkSession, broadcast_ids: Sequence[int]) -> Iterator[None]:
    """Have executors fetch broadcast variables from each other alone while the block runs.

    Spark's list of who has which block omits the driver meanwhile; the driver keeps the blocks.
    Assumes Spark's `BlockManager.getStatus`, and `BlockManagerMaster.updateBlockInfo`.

    Raises:
        JavaError: This Spark has no such methods; the driver is then listed as before.
    """
    manager = block_manager(spark)
    blocks = list(_pieces(spark, manager, broadcast_ids))
    nowhere = jvm(spark).org.apache.spark.storage.StorageLevel.NONE()
    try:
        for block, _ in blocks:
            _tell_block(spark, manager, block, nowhere, 0, 0)
        yield
    finally:
        for block, status in blocks:
            sizes = status.memSize(), status.diskSize()
            _tell_block(spark, manager, block, status.storageLevel(), *sizes)


def _pieces(
    spark: SparkSession, manager: Any, broadcast_ids: Sequence[int]
) -> Iterator[tuple[Any, Any]]:
    """Yield the blocks of broadcast variables on the driver, each with where it is kept."""
    block_id = jvm(spark).org.apache.spark.storage.BlockId
    for number in broadcast_ids:
        for piece in itertools.count():
            block = block_id.apply(f"broadcast_{number}_piece{piece}")
            status = manager.getStatus(block)
            if status.isEmpty():
                break
            yield block, status.get()


def _tell_block(
    spark: SparkSession, manager: Any, block: Any, level: Any, memory: int, disk: int
) -> None:
    arguments = [manager.blockManagerId(), block, level, memory, disk]
    try:
        manager.master().updateBlockInfo(*arguments)
    except JavaError as error:
        if "does not exist" not in str(error):
            raise
        # Newer releases take a checksum as well.
        manager.master().updateBlockInfo(*arguments, jvm(spark).scala.Option.empty())
