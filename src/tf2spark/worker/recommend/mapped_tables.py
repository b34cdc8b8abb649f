"""A catalog's files, which workers map, so that a host holds only one copy of them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pyarrow as pa

from tf2spark.tensorflow_c.session import Session


class FolderSession(Session, Protocol):
    """A session whose model lies in a folder of this host, together with a catalog's files."""

    @property
    def path(self) -> str:
        """The folder."""


def mapped_table(folder: Path, path: str) -> pa.RecordBatch:
    """Map a table that `recommend.catalog.files.write_table` wrote, without copying any of it."""
    reader = pa.ipc.open_file(pa.memory_map(str(folder / path)))
    if not reader.num_record_batches:
        empty = [pa.nulls(0, field.type) for field in reader.schema]
        return pa.RecordBatch.from_arrays(empty, schema=reader.schema)
    return reader.get_batch(0)
