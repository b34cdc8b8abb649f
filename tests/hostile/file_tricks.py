"""SavedModels whose files are links, pipes, devices, huge, damaged or oddly named."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostile.attacks import ATTACKS, Targets
from hostile.graphs import (
    FLOAT,
    Body,
    add_asset,
    add_output,
    add_table,
    base_model,
    doubling_model,
)
from hostile.harness import Write
from hostile.hiding_places import PLACES
from hostile.model_files import Model, write_files
from hostile.tricks import written_trick

_WARMUP = "assets.extra/tf_serving_warmup_requests"
Change = Callable[[Path, Targets], object]


def _table_model() -> Model:
    """Return a model that gives the lines of its asset."""
    meta = base_model()
    add_table(meta, add_asset(meta))
    return Model((add_output(meta, "mul:0"),), {"assets/words.txt": b"a\nb\n"})


def _restoring_model() -> Model:
    """Return a model with a variable that is restored, and y = 2x."""
    meta = base_model()
    graph = Body(meta.graph_def)
    prefix = graph.const("prefix", b"unset")
    names, slices = graph.const("names", [b"v"]), graph.const("slices", [b""])
    graph.add("v", "VarHandleOp", dtype=FLOAT, shape=[], shared_name="v")
    graph.add("restored", "RestoreV2", prefix, names, slices, dtypes=[FLOAT])
    graph.add("assign", "AssignVariableOp", "v", "restored", dtype=FLOAT)
    graph.add("restore_all", "NoOp", "^assign")
    graph.add("read", "ReadVariableOp", "v", dtype=FLOAT)
    graph.add("y", "Mul", "x", "read", T=FLOAT)
    meta.saver_def.filename_tensor_name = "prefix:0"
    meta.saver_def.save_tensor_name = "prefix:0"
    meta.saver_def.restore_op_name = "restore_all"
    return Model((add_output(meta, "y:0"),))


def _changed(make: Callable[[], Model], change: Change) -> Write:
    """Return a trick: a good model whose folder is changed."""

    def write(folder: Path, targets: Targets) -> Path:
        make().write(folder)
        change(folder, targets)
        return folder

    return write


def _good() -> Model:
    return Model((doubling_model(),))


def _link(name: str, target: str) -> Change:
    """Return a change that puts a link into the model, in place of a file or folder."""

    def change(folder: Path, targets: Targets) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target.format(secret=targets.secret, secrets=targets.secrets))

    return change


def _pipe(name: str) -> Change:
    def change(folder: Path, targets: Targets) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.mkfifo(path)

    return change


def _socket(name: str) -> Change:
    def change(folder: Path, targets: Targets) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        # Bound by a relative path, since a socket's may have about 100 characters.
        here = os.getcwd()
        os.chdir(path.parent)
        try:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path.name)
        finally:
            os.chdir(here)

    return change


def _folder(name: str) -> Change:
    def change(folder: Path, targets: Targets) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir(parents=True)

    return change


def _files(files: dict[str, bytes]) -> Change:
    return lambda folder, targets: write_files(folder, files)


def _sparse(name: str, size: int) -> Change:
    def change(folder: Path, targets: Targets) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, size)

    return change


_INDEX, _DATA = "variables/variables.index", "variables/variables.data-00000-of-00001"
_TRICKS: dict[str, tuple[Callable[[], Model], Change]] = {
    "asset_links_to_a_secret": (_table_model, _link("assets/words.txt", "{secret}")),
    "asset_links_to_zeros": (_table_model, _link("assets/words.txt", "/dev/zero")),
    "asset_links_to_itself": (_table_model, _link("assets/words.txt", "words.txt")),
    "asset_links_to_nowhere": (_table_model, _link("assets/words.txt", "/nonexistent/x")),
    "asset_links_to_standard_input": (_table_model, _link("assets/words.txt", "/dev/stdin")),
    "asset_is_a_pipe": (_table_model, _pipe("assets/words.txt")),
    "asset_is_a_socket": (_table_model, _socket("assets/words.txt")),
    "asset_is_a_folder": (_table_model, _folder("assets/words.txt")),
    "asset_of_nonsense": (_table_model, _files({"assets/words.txt": b"\xff\0\n" * 1000})),
    "other_file_is_a_pipe": (_good, _pipe("other")),
    "other_file_is_a_socket": (_good, _socket("other")),
    "other_file_links_to_zeros": (_good, _link("assets/zero", "/dev/zero")),
    "other_file_links_to_a_secret": (_good, _link("assets/other", "{secret}")),
    "other_file_links_to_nowhere": (_good, _link("gone", "/nonexistent/x")),
    "folder_links_to_secrets": (_good, _link("assets", "{secrets}")),
    "folder_links_to_its_parent": (_good, _link("assets/loop", "..")),
    "folder_links_to_the_root": (_good, _link("assets/root", "/")),
    "variables_link_to_secrets": (_restoring_model, _link("variables", "{secrets}")),
    "graph_is_a_pipe": (_good, _pipe("saved_model.pb")),
    "graph_is_a_folder": (_good, _folder("saved_model.pb")),
    "graph_links_to_zeros": (_good, _link("saved_model.pb", "/dev/zero")),
    "graph_links_to_a_secret": (_good, _link("saved_model.pb", "{secret}")),
    "graph_of_5_gigabytes": (_good, _sparse("saved_model.pb", 5 << 30)),
    "graph_of_3_gigabytes": (_good, _sparse("saved_model.pb", 3 << 30)),
    "index_is_a_pipe": (_restoring_model, _pipe(_INDEX)),
    "index_links_to_zeros": (_restoring_model, _link(_INDEX, "/dev/zero")),
    "index_is_missing": (_restoring_model, _files({_DATA: b""})),
    "index_is_empty": (_restoring_model, _files({_INDEX: b"", _DATA: b""})),
    "index_of_nonsense": (_restoring_model, _files({_INDEX: b"\xff" * 500, _DATA: b"x"})),
    "data_is_missing": (_restoring_model, _files({_INDEX: b""})),
    "data_of_a_thousand_shards": (
        _restoring_model,
        _files({_INDEX: b"", "variables/variables.data-00000-of-99999": b""}),
    ),
    "warmup_of_nonsense": (_good, _files({_WARMUP: b"\xff" * 64})),
    "warmup_of_a_huge_record": (_good, _files({_WARMUP: b"\xff" * 7 + b"\x7f" + b"\0" * 50})),
    "warmup_of_negative_records": (
        _good,
        _files({_WARMUP: (b"\xf0" + b"\xff" * 7 + b"\0" * 4) * 100}),
    ),
    "warmup_of_many_records": (_good, _files({_WARMUP: b"\0" * 16 * 100_000})),
    "warmup_is_a_pipe": (_good, _pipe(_WARMUP)),
    "warmup_is_a_folder": (_good, _folder(_WARMUP)),
    "warmup_links_to_zeros": (_good, _link(_WARMUP, "/dev/zero")),
    "warmup_links_to_a_secret": (_good, _link(_WARMUP, "{secret}")),
    "archive_among_assets": (_good, _files({"assets/x.tar.gz": b"\x1f\x8b" + b"\0" * 50})),
    "file_names_of_escapes": (_good, _files({"assets/\x1b[2J\n\u202e": b"x"})),
    "python_modules_among_assets": (
        _good,
        _files({"assets/sitecustomize.py": b"raise SystemExit(3)\n", "assets/x.zip": b"PK"}),
    ),
}
for _name, (_make, _change) in _TRICKS.items():
    written_trick(_name)(_changed(_make, _change))


@written_trick()
def file_names_that_are_not_utf8(folder: Path, targets: Targets) -> Path:
    _good().write(folder)
    (folder / "assets").mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/assets/\xff\xfe")).write_bytes(b"x")
    return folder


@written_trick()
def a_thousand_files(folder: Path, targets: Targets) -> Path:
    _good().write(folder)
    (folder / "assets").mkdir()
    for i in range(1_000):
        (folder / "assets" / str(i)).touch()
    return folder


@written_trick()
def folders_in_folders(folder: Path, targets: Targets) -> Path:
    """Deeper than a path may be long."""
    _good().write(folder)
    here = os.getcwd()
    os.chdir(folder)
    try:
        for _ in range(100):
            os.mkdir("deeper" * 8)
            os.chdir("deeper" * 8)
        Path("file").touch()
    finally:
        os.chdir(here)
    return folder


@written_trick()
def damaged_checkpoint(folder: Path, targets: Targets) -> Path:
    """A real index, and data that were overwritten."""
    write_checkpointed(folder)
    data = folder / _DATA
    data.write_bytes(b"\xff" * data.stat().st_size)
    return folder


@written_trick()
def checkpoint_without_data(folder: Path, targets: Targets) -> Path:
    write_checkpointed(folder)
    (folder / _DATA).write_bytes(b"")
    return folder


@written_trick()
def checkpoint_of_another_variable(folder: Path, targets: Targets) -> Path:
    write_checkpointed(folder, name="other")
    return folder


@written_trick()
def checkpoint_of_another_dtype(folder: Path, targets: Targets) -> Path:
    write_checkpointed(folder, value=[b"text"])
    return folder


def write_checkpointed(folder: Path, name: str = "v", value: Any = 2.0) -> None:
    """Write the model that restores a variable, with a checkpoint that has one."""
    import tensorflow as tf

    _restoring_model().write(folder)
    (folder / "variables").mkdir()
    tf.raw_ops.SaveV2(
        prefix=str(folder / "variables" / "variables"),
        tensor_names=[name],
        shape_and_slices=[""],
        tensors=[tf.constant(value)],
    )


@written_trick()
def version_folders_of_odd_names(folder: Path, targets: Targets) -> Path:
    """Version numbers too large for any integer, not in ASCII, negative, and one that is a file."""
    folder.mkdir(parents=True)
    for name in ("-1", "\u0663", "1e9", "9" * 200):
        (folder / name).mkdir()
    (folder / "12").touch()
    Model((doubling_model(),)).write(folder / "11")
    return folder


@written_trick()
def version_folder_that_links_to_secrets(folder: Path, targets: Targets) -> Path:
    folder.mkdir(parents=True)
    (folder / "1").symlink_to(targets.secrets)
    return folder


@written_trick("hostile_version", version=2)
def hostile_version(folder: Path, targets: Targets) -> Path:
    """One of two versions is hostile."""
    hostile = PLACES["init_op"].hide(ATTACKS["WriteFile"], targets)
    hostile.write(folder / "2")
    Model((doubling_model(),)).write(folder / "1")
    return folder
