"""Attacks that read files."""

from __future__ import annotations

from typing import Any

from hostile.attacks import (
    ATTACK,
    Build,
    Targets,
    attack,
    keep,
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


@attack("ReadFile")
def read_file(body: Body, targets: Targets) -> None:
    path = body.const("path", targets.secret.encode())
    keep(body, body.add("content", "ReadFile", path), STRING)


@attack("MatchingFiles")
def matching_files(body: Body, targets: Targets) -> None:
    pattern = body.const("path", f"{targets.secrets}/*".encode())
    keep(body, body.add("names", "MatchingFiles", pattern), STRING)


def _lines(op: str, dtype: int = STRING, **attrs: Any) -> Build:
    """Return an attack by a dataset of files, with further inputs by name in `attrs`."""

    def build(body: Body, targets: Targets) -> None:
        inputs = [body.const("path", [targets.secret.encode()])]
        settings = {}
        for name, value in attrs.items():
            if isinstance(value, tuple):
                inputs.append(body.const(name, *value))
            else:
                settings[name] = value
        read_elements(body, body.add("dataset", op, *inputs, **settings), dtype)

    return build


_ZIP, _BUFFER = (b"",), (0, INT64)
attack("TextLineDataset")(_lines("TextLineDataset", zip=_ZIP, buffer=_BUFFER))
attack("TFRecordDataset")(_lines("TFRecordDataset", zip=_ZIP, buffer=_BUFFER))
attack("TFRecordDatasetV2")(
    _lines("TFRecordDatasetV2", zip=_ZIP, buffer=_BUFFER, offsets=([0], INT64))
)
_RECORD: dict[str, Any] = {
    "header": (0, INT64),
    "record": (4, INT64),
    "footer": (0, INT64),
    "buffer": _BUFFER,
}
attack("FixedLengthRecordDataset")(_lines("FixedLengthRecordDataset", **_RECORD))
attack("FixedLengthRecordDatasetV2")(_lines("FixedLengthRecordDatasetV2", **_RECORD, zip=_ZIP))
attack("LMDBDataset", live=False)(
    _lines("LMDBDataset", output_types=[STRING], output_shapes=[None])
)
attack("MatchingFilesDataset", name="MatchingFilesDataset")(_lines("MatchingFilesDataset"))


@attack("CSVDataset")
def csv_dataset(body: Body, targets: Targets) -> None:
    dataset = body.add(
        "dataset",
        "CSVDataset",
        body.const("path", targets.secret.encode()),
        body.const("zip", b""),
        body.const("buffer", 64, INT64),
        body.const("header", False),
        body.const("delimiter", b","),
        body.const("quotes", True),
        body.const("na", b""),
        body.const("select", [0], INT64),
        body.const("default", [b""]),
        output_types=[STRING],
        output_shapes=[[]],
    )
    read_elements(body, dataset, STRING)


@attack("SqlDataset")
def sql_dataset(body: Body, targets: Targets) -> None:
    driver, source = body.const("driver", b"sqlite"), body.const("path", targets.secret.encode())
    query = body.const("query", b"SELECT name FROM sqlite_master")
    dataset = body.add(
        "dataset", "SqlDataset", driver, source, query, output_types=[STRING], output_shapes=[[]]
    )
    read_elements(body, dataset, STRING)


@attack("LoadDataset", live=False)
def load_dataset(body: Body, targets: Targets) -> None:
    dataset = body.add(
        "dataset",
        "LoadDataset",
        body.const("path", str(targets.secrets).encode()),
        output_types=[STRING],
        output_shapes=[[]],
        reader_func=Function("unused"),
        Treader_func_args=[],
    )
    read_elements(body, dataset, STRING)


@attack("ListSnapshotChunksDataset", live=False)
def snapshot_chunks(body: Body, targets: Targets) -> None:
    path = body.const("path", str(targets.secrets).encode())
    dataset = body.add(
        "dataset", "ListSnapshotChunksDataset", path, output_types=[STRING], output_shapes=[[]]
    )
    read_elements(body, dataset, STRING)


@attack("InitializeTableFromTextFileV2")
def table_from_file(body: Body, targets: Targets) -> None:
    table = body.add(
        "lines", "HashTableV2", key_dtype=INT64, value_dtype=STRING, shared_name="lines"
    )
    path = body.const("path", targets.secret.encode())
    body.add(ATTACK, "InitializeTableFromTextFileV2", table, path, key_index=-1, value_index=-2)


@attack("DecodeProtoV2")
def decode_proto(body: Body, targets: Targets) -> None:
    sizes = body.add(
        "decoded",
        "DecodeProtoV2",
        body.const("bytes", [b""]),
        message_type="a.B",
        field_names=["c"],
        output_types=[STRING],
        descriptor_source=targets.secret,
    )
    keep(body, sizes, INT32)


@attack("EncodeProto")
def encode_proto(body: Body, targets: Targets) -> None:
    sizes, values = body.const("sizes", [[1]], INT32), body.const("values", [[b"v"]])
    encoded = body.add(
        "encoded",
        "EncodeProto",
        sizes,
        values,
        field_names=["c"],
        message_type="a.B",
        descriptor_source=targets.secret,
        Tinput_types=[STRING],
    )
    keep(body, encoded, STRING)


@attack("FixedUnigramCandidateSampler")
def unigram_file(body: Body, targets: Targets) -> None:
    body.add(
        ATTACK,
        "FixedUnigramCandidateSampler",
        body.const("classes", [[0]], INT64),
        num_true=1,
        num_sampled=1,
        unique=False,
        range_max=2,
        vocab_file=targets.secret,
        unigrams=[],
    )


@attack("ImmutableConst")
def immutable_const(body: Body, targets: Targets) -> None:
    mapped = body.add(
        "mapped", "ImmutableConst", dtype=FLOAT, shape=[1], memory_region_name=targets.secret
    )
    keep(body, mapped, FLOAT)


@attack("GenerateVocabRemapping")
def vocabulary_remapping(body: Body, targets: Targets) -> None:
    path = body.const("path", targets.secret.encode())
    mapping = body.add(
        "mapping", "GenerateVocabRemapping", path, path, new_vocab_offset=0, num_new_vocab=1
    )
    keep(body, mapping, INT64)


@attack("LoadAndRemapMatrix")
def remap_matrix(body: Body, targets: Targets) -> None:
    body.add(
        ATTACK,
        "LoadAndRemapMatrix",
        body.const("path", str(targets.secrets / "secret").encode()),
        body.const("name", b"t"),
        body.const("rows", [0], INT64),
        body.const("columns", [], INT64),
        body.const("initial", [], FLOAT),
        num_rows=1,
        num_cols=1,
    )


@attack("RestoreV2")
def restore_v2(body: Body, targets: Targets) -> None:
    prefix = body.const("path", str(targets.secrets / "secret").encode())
    names, slices = body.const("names", [b"a"]), body.const("slices", [b""])
    body.add(ATTACK, "RestoreV2", prefix, names, slices, dtypes=[FLOAT])


@attack("Restore")
def restore(body: Body, targets: Targets) -> None:
    body.add(
        ATTACK,
        "Restore",
        body.const("path", targets.secret.encode()),
        body.const("name", b"a"),
        dt=FLOAT,
    )


@attack("RestoreSlice")
def restore_slice(body: Body, targets: Targets) -> None:
    path, name = body.const("path", targets.secret.encode()), body.const("name", b"a")
    body.add(ATTACK, "RestoreSlice", path, name, body.const("slice", b""), dt=FLOAT)


@attack("Skipgram", live=False)
def skipgram(body: Body, targets: Targets) -> None:
    body.add(ATTACK, "Skipgram", filename=targets.secret, batch_size=1, min_count=0)


@attack("RecordInput")
def record_input(body: Body, targets: Targets) -> None:
    body.add(ATTACK, "RecordInput", file_pattern=f"{targets.secrets}/*", batch_size=1)


def reader(op: str, **attrs: Any) -> Build:
    """Return an attack by one of TF1's readers, which take file names from a queue."""

    def build(body: Body, targets: Targets) -> None:
        queue = body.add("queue", "FIFOQueueV2", component_types=[STRING], shapes=[[]])
        path = body.const("path", targets.secret.encode())
        body.add("enqueue", "QueueEnqueueV2", queue, path, Tcomponents=[STRING])
        body.add(ATTACK, "ReaderReadV2", body.add("reader", op, **attrs), queue, "^enqueue")

    return build


for _op in ("WholeFileReaderV2", "TextLineReaderV2", "TFRecordReaderV2"):
    attack(_op, "ReaderReadV2")(reader(_op))
attack("FixedLengthRecordReaderV2", "ReaderReadV2")(
    reader("FixedLengthRecordReaderV2", record_bytes=4)
)
