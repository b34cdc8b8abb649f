from __future__ import annotations

import os
from pathlib import Path

import pytest

from cases.tensors import START, run_in_new_python
from tf2spark.tensorflow_c import process, session_config


@pytest.mark.parametrize("gpus", ["", "0", "1,0", "12"])
@pytest.mark.parametrize(
    ("threads", "divides_ops", "between_ops"),
    [(1, False, -1), (1, True, -1), (2, False, 2), (2, True, 1), (200, False, 200), (3, True, 1)],
)
def test_config_is_what_the_proto_says(
    threads: int, divides_ops: bool, between_ops: int, gpus: str
) -> None:
    """The bytes written by hand read back through TensorFlow's own ConfigProto."""
    from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2

    config = config_pb2.ConfigProto.FromString(
        session_config.config(threads, gpus, divides_ops=divides_ops)
    )
    assert config == config_pb2.ConfigProto(
        intra_op_parallelism_threads=threads,
        inter_op_parallelism_threads=between_ops,
        use_per_session_threads=threads > 1,
        allow_soft_placement=True,
        gpu_options=config_pb2.GPUOptions(allow_growth=True, visible_device_list=gpus),
        graph_options=config_pb2.GraphOptions(
            rewrite_options=rewriter_config_pb2.RewriterConfig(
                arithmetic_optimization=rewriter_config_pb2.RewriterConfig.AGGRESSIVE
            )
        ),
        experimental=config_pb2.ConfigProto.Experimental(
            optimize_for_static_graph=True, disable_output_partition_graphs=True
        ),
    )


def test_a_graph_can_be_run_as_it_is() -> None:
    """TensorFlow's optimizer is off, and nothing else changes."""
    from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2

    config, plain = (
        config_pb2.ConfigProto.FromString(session_config.config(2, optimizes=optimizes))
        for optimizes in (True, False)
    )
    config.graph_options.rewrite_options.CopyFrom(
        rewriter_config_pb2.RewriterConfig(disable_meta_optimizer=True)
    )
    assert plain == config


def test_without_gpus_the_config_is_the_same_bytes() -> None:
    """Without an assigned GPU, nothing of a session's options changes."""
    assert session_config.config(1).hex() == (
        "100128ffffffffffffffffff01320220013801480052045202380382010460017001"
    )


def test_a_session_opens_with_assigned_gpus(models: Path) -> None:
    """The list reaches TensorFlow; where a machine has no GPU, the model runs on its CPU."""
    code = """
from tf2spark.tensorflow_c import session_config
configs = []
write = session_config.config
session_config.config = lambda *args, **options: configs.append(args) or write(*args, **options)
process.assign_gpus(["1"])
open_session(sys.argv[1], ["serve", "old"], threads=2).close()
print(configs)
"""
    assert run_in_new_python(START + code, models / "dtypes") == "[(2, '1')]"


@pytest.mark.parametrize(
    ("addresses", "preset", "expected"),
    [
        ([], None, ["", None, None]),
        (["3"], None, ["3", None, "PCI_BUS_ID"]),
        (["1", "0"], None, ["1,0", None, "PCI_BUS_ID"]),
        # Then the numbers count among those, in the order that they were listed in.
        (["1"], "5,6", ["1", "5,6", None]),
        (["GPU-8a2e", "GPU-91cc"], None, ["", "GPU-8a2e,GPU-91cc", "PCI_BUS_ID"]),
        (["MIG-77"], "GPU-1", ["", "MIG-77", None]),
    ],
)
def test_numbers_and_identifiers_of_gpus(
    addresses: list[str],
    preset: str | None,
    expected: list[str | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """TensorFlow is given numbers, and CUDA the identifiers that TensorFlow doesn't take."""
    monkeypatch.setattr(process, "_visible_gpus", "")
    monkeypatch.setattr(process, "_started_in", None)
    environment = {} if preset is None else {"CUDA_VISIBLE_DEVICES": preset}
    monkeypatch.setattr(os, "environ", environment)
    process.assign_gpus(addresses)
    names = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
    assert [process.visible_gpus(), *map(environment.get, names)] == expected


def test_a_worker_keeps_the_gpu_of_its_first_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow would refuse a session on another GPU, so a later task's GPU isn't used."""
    monkeypatch.setattr(process, "_visible_gpus", "")
    monkeypatch.setattr(process, "_started_in", None)
    monkeypatch.setattr(os, "environ", {})
    process.assign_gpus(["0"])
    process.assign_gpus(["1"])  # nothing was opened on the first one
    process.mark_started()
    process.assign_gpus(["0"])
    assert process.visible_gpus() == "1"
