"""The peers that live apart: what `--peer` calls them, what tables call them, how they are made."""

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
    """A peer's title, its module below `peers`, its packages, and whose versions are named."""

    title: str
    module: str
    environment: Environment | None
    versions_of: tuple[str, ...]


APART = {
    "tensorflow": Peer(PLAIN, "plain_tensorflow", None, ()),
    "mlflow": Peer(MLFLOW, "mlflow_udf", environments.MLFLOW, ("mlflow",)),
    "tensorflow-java": Peer(JAVA, "tensorflow_java", None, ()),
    "onnx": Peer(ONNX, "onnx_udf", environments.ONNX, ("onnxruntime", "tf2onnx")),
    "ray": Peer(RAY, "ray_data", environments.RAY, ("ray",)),
    "implicit": Peer(IMPLICIT, "implicit_topk", environments.IMPLICIT, ("implicit",)),
    "tfrs": Peer(TFRS, "tfrs_brute_force", environments.TFRS, ("tensorflow-recommenders",)),
}


def apart(bench: Bench, name: str, given: Mapping[str, Any]) -> Contender:
    """Return the contender of a peer that lives apart; it starts when it is first run."""
    peer = APART[name]
    how = {"environment": peer.environment, "versions_of": peer.versions_of}
    process = bench.apart(name, peer.module, {"folder": str(bench.folder), **given}, **how)
    return Contender(peer.title, apart=process, python=False, peer=name)
