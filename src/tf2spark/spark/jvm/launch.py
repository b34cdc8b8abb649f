"""The launch of the driver's JVM, with a stderr of its own."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark import SparkConf


def launch_driver(conf: SparkConf, stderr: int) -> bool:
    """Launch the driver's JVM, as a `SparkContext` would, with its own stderr.

    Assumes ``pyspark.java_gateway.launch_gateway(conf, popen_kwargs)``, `SparkContext._gateway`
    (None before there is a JVM) and ``SparkContext._ensure_initialized(gateway=...)``, after which
    the next `SparkContext` uses this JVM.

    Args:
        conf: The settings that the JVM starts with.
        stderr: The file descriptor that it writes to.

    Returns:
        False, with nothing launched, where one of these is missing or a JVM runs already. The
        next `SparkContext` then launches its own, whose log goes to this process's stderr.
    """
    try:
        from pyspark import SparkContext
        from pyspark.java_gateway import launch_gateway
    except ImportError:
        return False
    initialize = getattr(SparkContext, "_ensure_initialized", None)
    takes_stderr = "popen_kwargs" in inspect.signature(launch_gateway).parameters
    if initialize is None or not takes_stderr or getattr(SparkContext, "_gateway", True):
        return False
    gateway = launch_gateway(conf, popen_kwargs={"stderr": stderr})  # type: ignore[no-untyped-call]
    initialize(gateway=gateway)
    return True
