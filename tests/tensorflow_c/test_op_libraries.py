from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from cases.models.custom_ops import text_library
from tf2spark.errors import SetupError
from tf2spark.package.safe_files import open_regular, sha256_of
from tf2spark.tensorflow_c import op_libraries


def in_new_process(code: str, *arguments: str, folder: Path | None = None) -> Any:
    """Run Python code in a process that has loaded nothing; return the JSON that it prints last."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def digest(path: Path) -> str:
    with open_regular(path) as stream:
        return sha256_of(stream)[0]


def load(path: Path) -> op_libraries.LoadedLibrary:
    return op_libraries.load_file(path, path.name, digest(path))


def test_a_module_is_loaded_without_importing_it() -> None:
    """All op libraries of a package are loaded; neither it nor TensorFlow's Python is imported."""
    seen = in_new_process(
        """
        import json, sys
        from tf2spark.tensorflow_c.op_libraries import load_module

        loaded = load_module("tensorflow_text")
        imported = [name for name in sys.modules if name.startswith("tensorflow")]
        print(json.dumps([sorted(loaded.ops), loaded.failures, imported]))
        """
    )
    ops, failures, imported = seen
    assert {"CaseFoldUTF8", "TFText>WhitespaceTokenizeWithOffsetsV2", "SentencepieceOp"} <= set(ops)
    assert len(ops) > 30
    assert not any(op in ops for op in ("Const", "ReadFile", "Identity"))
    assert failures == []
    assert imported == []


def test_a_module_that_python_imported_first_has_its_ops() -> None:
    """The ops of libraries that TensorFlow's Python loaded count as theirs."""
    seen = in_new_process(
        """
        import json
        import tensorflow_text
        from tf2spark.tensorflow_c.op_libraries import load_module

        print(json.dumps(sorted(load_module("tensorflow_text").ops)))
        """
    )
    assert "CaseFoldUTF8" in seen
    assert "Const" not in seen


def test_a_copy_of_a_loaded_library_is_not_loaded_again(tmp_path: Path) -> None:
    """Twice the same kernels would make TensorFlow refuse to run either."""
    copy = tmp_path / "copy.so"
    copy.write_bytes(text_library().read_bytes())
    seen = in_new_process(
        """
        import json, pathlib, sys
        from tf2spark.tensorflow_c import op_libraries

        op_libraries.load_module("tensorflow_text")
        path = pathlib.Path(sys.argv[1])
        ops = op_libraries.load_file(path, path.name, "0" * 64).ops
        mapped = sys.argv[1] in pathlib.Path("/proc/self/maps").read_text()
        print(json.dumps([sorted(ops), mapped]))
        """,
        str(copy),
    )
    assert seen == [["TFText>WhitespaceTokenizeWithOffsetsV2"], False]


def test_threads_load_a_library_once() -> None:
    """Threads that ask at the same time get the same ops."""
    results: list[op_libraries.LoadedLibrary] = []

    def load_it() -> None:
        results.append(op_libraries.load_module("ydf_tf"))

    threads = [threading.Thread(target=load_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(result is results[0] for result in results)
    assert "SimpleMLInferenceOp" in results[0].ops


def test_ydf_stands_for_the_package_with_its_ops() -> None:
    """The ops of ydf's models are in another package, and people name ydf."""
    assert op_libraries.load_module("ydf").ops == op_libraries.load_module("ydf_tf").ops


def test_a_module_inside_of_a_package_is_a_file_or_a_folder() -> None:
    """A dotted name is a part of a package on disk."""
    part = op_libraries.load_module("tensorflow_text.python.metrics")
    assert "RougeL" in part.ops
    assert "CaseFoldUTF8" not in part.ops
    single = op_libraries.load_module("tensorflow_text.python.ops._mst_ops")
    assert single.ops == {"MaxSpanningTree"}


@pytest.mark.parametrize(
    ("name", "problem", "advice"),
    [
        (
            "tensorflow_nowhere",
            "the op library tensorflow_nowhere is not installed for this Python",
            "pip install tensorflow-nowhere (a release for TensorFlow 2.",
        ),
        ("pyarrow", "the package pyarrow has no library of TensorFlow ops", ""),
        ("json", "the package json has no library of TensorFlow ops", ""),
    ],
)
def test_a_module_without_op_libraries_is_named(name: str, problem: str, advice: str) -> None:
    """A missing package, and one whose libraries are others, are told apart."""
    with pytest.raises(SetupError) as raised:
        op_libraries.load_module(name)
    assert raised.value.problem == problem
    assert advice in str(raised.value)


def test_other_files_are_no_op_libraries(tmp_path: Path) -> None:
    """Neither text nor a library of something else is given to TensorFlow."""
    text = tmp_path / "text.so"
    text.write_text("not a library")
    empty = tmp_path / "empty.so"
    empty.touch()
    import pyarrow

    other = next(Path(pyarrow.__file__).parent.glob("lib.*.so"))
    for path in (text, empty, other):
        with pytest.raises(SetupError, match="is not a library of TensorFlow ops: it registers no"):
            load(path)


def test_a_library_of_another_tensorflow_says_what_to_do(tmp_path: Path) -> None:
    """A symbol that this TensorFlow lacks, as after an update, is one sentence with its version."""
    content = text_library().read_bytes()
    (symbol,) = set(re.findall(rb"_ZN\w+OpKernelRegistrar12InitInternal\w+", content))
    old = tmp_path / "old_ops.so"
    old.write_bytes(content.replace(symbol, symbol[:-1] + b"9"))
    with pytest.raises(SetupError) as raised:
        load(old)
    message = str(raised.value)
    assert "the op library old_ops.so was built for another version than TensorFlow 2." in message
    assert (
        f"undefined symbol: {symbol.decode()[:-1]}9; build it again with TensorFlow 2." in message
    )


def test_a_library_that_needs_another_one_names_it(tmp_path: Path) -> None:
    """A dependency that the machine lacks, such as CUDA's, is named."""
    content = text_library().read_bytes()
    needed = b"\0libm.so.6\0"
    assert needed in content
    path = tmp_path / "gpu_ops.so"
    path.write_bytes(content.replace(needed, b"\0libq.so.6\0"))
    with pytest.raises(SetupError, match=r"can't be loaded into .*: it needs libq\.so\.6, which"):
        load(path)


@pytest.mark.parametrize("part", [0.999, 0.5, 0.2])
def test_a_truncated_library_is_refused(tmp_path: Path, part: float) -> None:
    """A file that isn't whole ends in an error, and not in a crash of the process."""
    content = text_library().read_bytes()
    path = tmp_path / f"part_{part}.so"
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(SetupError, match=r"^the op library part_.*\.so is truncated: install or"):
        load(path)


def test_files_that_cannot_be_loaded_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a package with an optional library that doesn't fit, the others are loaded."""
    package = tmp_path / "some_ops"
    package.mkdir()
    content = text_library().read_bytes()
    (package / "a_broken.so").write_bytes(content.replace(b"\0libm.so.6\0", b"\0libq.so.6\0"))
    (package / "whole.so").write_bytes(content)
    (package / "link.so").symlink_to("whole.so")
    (package / "__init__.py").write_text("raise ImportError('must not be imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    loaded = op_libraries.load_module("some_ops")
    assert loaded.ops == {"TFText>WhitespaceTokenizeWithOffsetsV2"}
    assert len(loaded.failures) == 1
    assert loaded.failures[0].startswith("a_broken.so: ")
