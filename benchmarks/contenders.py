"""The peers that run in processes of their own: their names, modules and packages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from benchmarks import environments
from benchmarks.environments import Environment
from benchmarks.harness import Bench, Contender

PLAIN = "TensorFlow in one process, no Spark"
MLFLOW = "MLflow spark_udf"
JAVA = "TensorFlow Java 1.1.0 in the JVM"
ONNX = "ONNX Runtime in predict_batch_udf"
RAY = "Ray Data map_batches"
IMPLICIT = "implicit"
TFRS = "tensorflow-recommenders BruteForce"


@frozen
class Peer:
    """A peer's title, its module in `peers`, its packages, and those whose versions are listed."""

    title: str
    module: str
    environment: Environment | None
    versions_of: tuple[str, ...]


PEER_PROCESSES = {
    "tensorflow": Peer(PLAIN, "plain_tensorflow", None, ()),
    "mlflow": Peer(MLFLOW, "mlflow_udf", environments.MLFLOW, ("mlflow",)),
    "tensorflow-java": Peer(JAVA, "tensorflow_java", None, ()),
    "onnx": Peer(ONNX, "onnx_udf", environments.ONNX, ("onnxruntime", "tf2onnx")),
    "ray": Peer(RAY, "ray_data", environments.RAY, ("ray",)),
    "implicit": Peer(IMPLICIT, "implicit_topk", environments.IMPLICIT, ("implicit",)),
    "tfrs": Peer(TFRS, "tfrs_brute_force", environments.TFRS, ("tensorflow-recommenders",)),
}
"""By the names that ``--peer`` has for them."""


def peer_contender(bench: Bench, name: str, arguments: Mapping[str, Any]) -> Contender:
    """Return a peer as a contender; its process starts when it first runs.

    `arguments` are those of the peer module's `make`.
    """
    peer = PEER_PROCESSES[name]
    process = bench.peer_process(
        name,
        peer.module,
        {"folder": str(bench.folder), **arguments},
        environment=peer.environment,
        versions_of=peer.versions_of,
    )
    return Contender(peer.title, process=process, python=False, peer=name)
