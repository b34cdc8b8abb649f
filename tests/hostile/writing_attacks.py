"""Attacks that write files."""

from __future__ import annotations

from typing import Any

from hostile.attacks import (
    ATTACK,
    Build,
    Targets,
    attack,
    one_number,
    read_elements,
)
from hostile.graphs import (
    FLOAT,
    INT32,
    INT64,
    STRING,
    Body,
    Function,
)


@attack("WriteFile")
def write_file(body: Body, targets: Targets) -> None:
    path, text = body.const("path", targets.written.encode()), body.const("text", b"written")
    body.add(ATTACK, "WriteFile", path, text)


@attack("PrintV2")
def print_to_file(body: Body, targets: Targets) -> None:
    stream = f"file://{targets.written}"
    body.add(ATTACK, "PrintV2", body.const("text", b"printed"), output_stream=stream)


@attack("SaveV2")
def save_v2(body: Body, targets: Targets) -> None:
    body.add(
        ATTACK,
        "SaveV2",
        body.const("path", targets.written.encode()),
        body.const("names", [b"a"]),
        body.const("slices", [b""]),
        body.const("values", 1.0, FLOAT),
        dtypes=[FLOAT],
    )


@attack("Save")
def save(body: Body, targets: Targets) -> None:
    path, names = body.const("path", targets.written.encode()), body.const("names", [b"a"])
    body.add(ATTACK, "Save", path, names, body.const("values", [1.0], FLOAT), T=[FLOAT])


@attack("SaveSlices")
def save_slices(body: Body, targets: Targets) -> None:
    path, names = body.const("path", targets.written.encode()), body.const("names", [b"a"])
    slices, values = body.const("slices", [b""]), body.const("values", [1.0], FLOAT)
    body.add(ATTACK, "SaveSlices", path, names, slices, values, T=[FLOAT])


@attack("MergeV2Checkpoints")
def merge_checkpoints(body: Body, targets: Targets) -> None:
    prefixes = body.const("path", [str(targets.secrets / "secret").encode()])
    body.add(ATTACK, "MergeV2Checkpoints", prefixes, body.const("to", targets.written.encode()))


def _debug(op: str, **attrs: Any) -> Build:
    def build(body: Body, targets: Targets) -> None:
        body.add(
            ATTACK,
            op,
            body.const("values", [1.0], FLOAT),
            T=FLOAT,
            tensor_name="values:0",
            debug_urls=[f"file://{targets.canary}"],
            **attrs,
        )

    return build


for _op in ("DebugIdentity", "DebugNanCount", "DebugNumericSummary"):
    attack(_op)(_debug(_op))


@attack("DebugIdentityV2")
def debug_identity_v2(body: Body, targets: Targets) -> None:
    body.add(
        ATTACK,
        "DebugIdentityV2",
        body.const("values", [1.0], FLOAT),
        T=FLOAT,
        tfdbg_context_id="c",
        op_name="values",
        output_slot=0,
        tensor_debug_mode=2,
        debug_urls=[f"file://{targets.canary}"],
        tfdbg_run_id="r",
    )


@attack("DebugIdentityV3")
def debug_identity_v3(body: Body, targets: Targets) -> None:
    body.add(
        ATTACK,
        "DebugIdentityV3",
        body.const("values", [1.0], FLOAT),
        T=FLOAT,
        device_name="/job:localhost/replica:0/task:0/device:CPU:0",
        tensor_name="values:0",
        io_of_node="",
        debug_urls=[f"file://{targets.canary}"],
    )


def _summary_writer(body: Body) -> str:
    return body.add("writer", "SummaryWriter", shared_name="writer")


@attack("CreateSummaryFileWriter", "SummaryWriter")
def summary_file(body: Body, targets: Targets) -> None:
    body.add(
        ATTACK,
        "CreateSummaryFileWriter",
        _summary_writer(body),
        body.const("path", str(targets.canary).encode()),
        body.const("queue", 1, INT32),
        body.const("millis", 1, INT32),
        body.const("suffix", b".x"),
    )


@attack("CreateSummaryDbWriter", "SummaryWriter", live=False)
def summary_database(body: Body, targets: Targets) -> None:
    names = [body.const(name, name.encode()) for name in ("experiment", "run", "user")]
    path = body.const("path", targets.written.encode())
    body.add(ATTACK, "CreateSummaryDbWriter", _summary_writer(body), path, *names)


@attack("WriteRawProtoSummary", "SummaryWriter", "CreateSummaryFileWriter")
def summary_of_bytes(body: Body, targets: Targets) -> None:
    summary_file(body, targets)
    body.nodes[-1].name = "opened"
    step, content = body.const("number", 1, INT64), body.const("content", b"")
    body.add(ATTACK, "WriteRawProtoSummary", body.reference("writer"), step, content, "^opened")


@attack("CacheDataset")
def cache_dataset(body: Body, targets: Targets) -> None:
    path = body.const("path", targets.written.encode())
    cached = body.add(
        "cached", "CacheDataset", one_number(body), path, output_types=[INT64], output_shapes=[[]]
    )
    read_elements(body, cached, INT64)


@attack("DatasetToTFRecord")
def dataset_to_records(body: Body, targets: Targets) -> None:
    text = body.const("text", b"record")
    dataset = body.add("dataset", "TensorDataset", text, Toutput_types=[STRING], output_shapes=[[]])
    path, compression = body.const("path", targets.written.encode()), body.const("zip", b"")
    body.add(ATTACK, "DatasetToTFRecord", dataset, path, compression)


@attack("SaveDataset", live=False)
def save_dataset(body: Body, targets: Targets) -> None:
    path = body.const("path", targets.written.encode())
    function = Function("unused")
    body.add(
        ATTACK,
        "SaveDataset",
        one_number(body),
        path,
        shard_func=function,
        use_shard_func=False,
        Tshard_func_args=[],
    )


@attack("SnapshotDataset")
def snapshot_dataset(body: Body, targets: Targets) -> None:
    path = body.const("path", targets.written.encode())
    snapshot = body.add(
        "snapshot",
        "SnapshotDataset",
        one_number(body),
        path,
        output_types=[INT64],
        output_shapes=[[]],
        mode="write",
    )
    read_elements(body, snapshot, INT64)
