"""`op_allow_list`: checked against the ops of the installed TensorFlow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session

from tf2spark.saved_model.safety import op_allow_list

DANGEROUS = re.compile(
    r"PyFunc|(Read|Write|Whole|Matching)_?Files?|^Save|^Restore|^MergeV2|Checkpoint|Record"
    r"|TextLine|CSVData|LMDB|Sql|Snapshot|SummaryWriter|^Write.*Summary|ImportEvent|^Debug|Dump"
    r"|Rpc|DataService|Collective|Nccl|TPU|Infeed|Outfeed|Remote|Send|Recv|^Abort|FileSystem"
    r"|ImmutableConst|FromGraph|Heartbeat|VocabRemapping|LoadAndRemap|^LoadDataset|Mlir|XlaLaunch"
    r"|CustomCall|HostCompute|DTensor|CalibrationStat|CacheDataset|Skipgram|Iterator.*(Serialize|"
    r"FromStringHandle)|DeserializeIterator"
)


@pytest.fixture(scope="module")
def registry() -> Any:
    """The definitions of all ops of the installed TensorFlow."""
    buffer = pywrap_tf_session.TF_GetAllOpList()
    return op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(buffer)).op


def test_the_ops_that_may_run_at_import_are_marked(registry: Any) -> None:
    """TensorFlow runs no stateful op while it imports a graph; every other unsafe op is marked."""
    refused = op_allow_list.refused_ops()
    stateless = {op.name for op in registry if not op.is_stateful and op.name in refused}
    assert op_allow_list.unsafe_at_import() & {op.name for op in registry} == stateless
    assert {"ReadFile", "DebugIdentity", "MatchingFiles"} <= stateless
    # The ops that save and restore variables, as every model has them, aren't run at import.
    savers = {"SaveV2", "RestoreV2", "MergeV2Checkpoints", "Save", "Restore", "SaveSlices"}
    assert savers <= refused.keys() - op_allow_list.unsafe_at_import()


def test_ops_have_the_inputs_of_tensorflow(registry: Any) -> None:
    """The numbers of inputs are those of the installed TensorFlow."""
    counts = op_allow_list.input_counts()
    assert len(counts) > 1500
    for op in registry:
        if op.name in counts:
            lists = [bool(arg.number_attr or arg.type_list_attr) for arg in op.input_arg]
            assert counts[op.name] == (lists.count(False), any(lists)), op.name


def test_no_dangerous_op_of_tensorflow_is_on_the_list(registry: Any) -> None:
    """No allowed op of the installed TensorFlow accesses files, devices or other processes."""
    names = {op.name for op in registry}
    allowed = {name for name in names if op_allow_list.reason_refused(name) is None}
    assert len(allowed) > 1200
    assert sorted(name for name in allowed if DANGEROUS.search(name)) == []
    assert {"ReadFile", "EagerPyFunc", "SaveV2"} <= names - allowed
    # Attributes that name a file or an address: op_check.py checks those of these three ops.
    with_path_attributes = {
        op.name
        for op in registry
        if op.name in allowed
        and any(
            re.search(r"(^|_)(file|filename|path|url|urls|address|descriptor_source)(_|$)", a.name)
            for a in op.attr
        )
    }
    assert with_path_attributes <= {"DecodeProtoV2", "EncodeProto", "FixedUnigramCandidateSampler"}
    with_path_inputs = {
        op.name
        for op in registry
        if op.name in allowed and any(re.search("file|path", a.name) for a in op.input_arg)
    }
    assert with_path_inputs <= {
        "InitializeTableFromTextFile",
        "InitializeTableFromTextFileV2",
        "ShardedFilename",
        "ShardedFilespec",
    }


def test_no_op_is_listed_twice() -> None:
    """An op is either allowed or refused for one reason."""
    text = (Path(op_allow_list.__file__).parent / "safe_ops.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(("#", "["))]
    ops = [op.removesuffix("*") for op in " ".join(lines).split()]
    assert len(ops) == len(set(ops))
