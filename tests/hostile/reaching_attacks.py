"""Attacks that reach other processes, Python, or programs that no check sees."""

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
    RESOURCE,
    STRING,
    VARIANT,
    Body,
    base_model,
    hidden_graph,
)
from hostile.reading_attacks import reader
from hostile.writing_attacks import write_file


@attack("DebugIdentity", name="DebugIdentity_to_a_server", live=False)
def debug_to_server(body: Body, targets: Targets) -> None:
    body.add(
        ATTACK,
        "DebugIdentity",
        body.const("values", [1.0], FLOAT),
        T=FLOAT,
        tensor_name="values:0",
        debug_urls=[f"grpc://127.0.0.1:{targets.port}"],
    )


@attack("RpcClient", "RpcCall", live=False)
def rpc_client(body: Body, targets: Targets) -> None:
    address = body.const("address", f"127.0.0.1:{targets.port}".encode())
    body.add(ATTACK, "RpcClient", address, body.const("millis", 500, INT64))


@attack("DataServiceDatasetV2", "DummyIterationCounter", live=False)
def data_service(body: Body, targets: Targets) -> None:
    dataset = body.add(
        "dataset",
        "DataServiceDatasetV2",
        body.const("id", 1, INT64),
        body.const("mode", b"parallel_epochs"),
        body.const("address", f"127.0.0.1:{targets.port}".encode()),
        body.const("protocol", b"grpc"),
        body.const("job", b"j"),
        body.const("consumer", 0, INT64),
        body.const("consumers", 1, INT64),
        body.const("max_requests", 1, INT64),
        body.add("counter", "DummyIterationCounter"),
        output_types=[INT64],
        output_shapes=[[]],
    )
    read_elements(body, dataset, INT64)


def _plain(op: str, *dtypes: int, **attrs: Any) -> Build:
    """Return an attack by a node whose inputs are constants of these dtypes."""

    def build(body: Body, targets: Targets) -> None:
        zeros = {STRING: b"", FLOAT: 0.0}
        inputs = [
            body.const(f"input{i}", zeros.get(dtype, 0), dtype) for i, dtype in enumerate(dtypes)
        ]
        body.add(ATTACK, op, *inputs, **attrs)

    return build


_REFUSED_BY_NAME: dict[str, Build] = {
    "PyFunc": _plain("PyFunc", token="t", Tin=[], Tout=[FLOAT]),
    "PyFuncStateless": _plain("PyFuncStateless", token="t", Tin=[], Tout=[FLOAT]),
    "EagerPyFunc": _plain("EagerPyFunc", token="t", Tin=[], Tout=[FLOAT]),
    "_Recv": _plain(
        "_Recv",
        tensor_type=FLOAT,
        tensor_name="n",
        send_device="/job:worker/task:1/device:CPU:0",
        send_device_incarnation=1,
        recv_device="/job:localhost/replica:0/task:0/device:CPU:0",
    ),
    "CollectiveReduceV2": _plain(
        "CollectiveReduceV2", FLOAT, INT32, INT32, INT32, T=FLOAT, merge_op="Add", final_op="Id"
    ),
    "CollectiveInitializeCommunicator": _plain(
        "CollectiveInitializeCommunicator", INT32, INT32, INT32, STRING
    ),
    "ConfigureDistributedTPU": _plain("ConfigureDistributedTPU"),
    "WorkerHeartbeat": _plain("WorkerHeartbeat", STRING),
    "RemoteCall": _plain("RemoteCall", STRING, Tin=[], Tout=[FLOAT], f="unused"),
    "RpcServer": _plain("RpcServer", STRING),
    "FileSystemSetConfiguration": _plain("FileSystemSetConfiguration", STRING, STRING, STRING),
    "GetSessionHandleV2": _plain("GetSessionHandleV2", FLOAT, T=FLOAT),
    "GetSessionTensor": _plain("GetSessionTensor", STRING, dtype=FLOAT),
    "DeleteSessionTensor": _plain("DeleteSessionTensor", STRING),
    "IteratorFromStringHandleV2": _plain("IteratorFromStringHandleV2", STRING),
    "StubResourceHandleOp": _plain("StubResourceHandleOp", dtype=FLOAT),
    "MlirPassthroughOp": _plain(
        "MlirPassthroughOp", mlir_module="module {}", Tinputs=[], Toutputs=[FLOAT]
    ),
    "XlaCustomCallV2": _plain(
        "XlaCustomCallV2",
        call_target_name="system",
        backend_config="",
        has_side_effect=True,
        operand_dtypes=[],
        result_dtypes=[FLOAT],
        result_shapes=[[]],
    ),
    "Bigtable": _plain("BigtableClient", project_id="p", instance_id="i"),
    "LoadLibrary": _plain("LoadLibrary", STRING),
    "LMDBReader": reader("LMDBReader"),
    "NoSuchOp": _plain("NoSuchOp"),
}
for _op, _build in _REFUSED_BY_NAME.items():
    attack(_op, live=False)(_build)


@attack("Abort")
def abort(body: Body, targets: Targets) -> None:
    body.add(ATTACK, "Abort", error_msg="stopped by the model")


def _graph_that_writes(targets: Targets) -> bytes:
    """Return a GraphDef that writes a file, and whose output is a dataset."""

    def build(body: Body) -> None:
        write_file(body, targets)
        numbers = one_number(body)
        body.nodes[-1].input.append(f"^{ATTACK}")
        body.add("root", "_Retval", numbers, T=VARIANT, index=0)

    return hidden_graph(build)


@attack("DatasetFromGraph", "WriteFile", live=False)
def dataset_from_graph(body: Body, targets: Targets) -> None:
    graph = body.const("program", _graph_that_writes(targets))
    read_elements(body, body.add("dataset", "DatasetFromGraph", graph), INT64)


@attack("DeserializeIterator", live=False)
def deserialize_iterator(body: Body, targets: Targets) -> None:
    iterator = body.add(
        "iterator",
        "IteratorV2",
        shared_name="i",
        container="",
        output_types=[INT64],
        output_shapes=[[]],
    )
    variant = body.add("program", "ParseTensor", body.const("bytes", b""), out_type=VARIANT)
    body.add(ATTACK, "DeserializeIterator", iterator, variant)


@attack("Const", name="Const_of_a_handle", live=False)
def forged_handle(body: Body, targets: Targets) -> None:
    model = base_model()
    tensor = Body(model.graph_def).nodes[1].attr["value"].tensor
    tensor.Clear()
    tensor.dtype = RESOURCE
    tensor.tensor_shape.SetInParent()
    handle = tensor.resource_handle_val.add(container="localhost", name="v", hash_code=1)
    handle.device = "/job:localhost/replica:0/task:0/device:CPU:0"
    body.const_proto("forged", tensor)
    body.add(ATTACK, "VarIsInitializedOp", body.reference("forged"))
