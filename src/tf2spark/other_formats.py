"""What people have instead of a SavedModel: each format by its content or name, and what to do.

Sources of the magic numbers: TFLite ``schema.fbs`` (``file_identifier "TFL3"``), HDF5's format
signature, ``table_format.txt`` of LevelDB (checkpoint indexes), ``saved_model.proto`` and
``graph.proto`` (the first fields), PyTorch's zip files, and the header of safetensors.
"""

from __future__ import annotations

import difflib
import re
import zipfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path, PurePosixPath

from tf2spark.errors import Advice, ModelError, ModelNotFoundError

MLMODEL = "MLmodel"
"""The file by which MLflow describes the model in its folder."""
_GRAPH_FILE = "saved_model.pb"
_HANDLE = re.compile(
    r"(kaggle:/?/?|(https?://)?(www\.)?(tfhub\.dev|kaggle\.com/models|hub\.tensorflow)/|hub:/?/?)",
    re.IGNORECASE,
)
# As kagglehub writes it: OWNER/MODEL/FRAMEWORK/VARIATION/VERSION.
_KAGGLE = re.compile(r"[\w-]+/[\w.-]+/(tensorflow[12]|keras)/[\w.-]+(/\d+)?$", re.IGNORECASE)
_MLFLOW = re.compile(r"(models|runs|mlflow-artifacts):/", re.IGNORECASE)
_HUGGING_FACE = re.compile(r"(hf://|https?://(www\.)?huggingface\.co/)", re.IGNORECASE)
_WEB = re.compile(r"https?:/", re.IGNORECASE)
_ARCHIVE = re.compile(r"\.(zip|tar|tgz|tar\.(gz|bz2|xz|zst))$")
_CHECKPOINT = re.compile(r"(\.index|\.data-\d{5}-of-\d{5}|\.ckpt(-\d+)?|\.meta)$|(^|/)checkpoint$")
_PART_FOLDERS = ("variables", "assets", "assets.extra")
_PART_FILES = ("fingerprint.pb", "keras_metadata.pb")
# The formats of files that are the model of their folder.
_WHOLE_MODELS = (
    *("keras", "checkpoint", "tflite", "onnx", "frozen graph", "archive", "tfjs", "git lfs"),
)
# How far models are looked for below a folder that has none.
_DEPTH, _FOLDERS = 3, 300
# How many bytes tell a format, at the beginning and at the end of a file.
HEAD_BYTES, END_BYTES = 4096, 8
_LFS = b"version https://git-lfs.github.com/"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_TABLE_END = bytes.fromhex("57fb808b247547db")
_ENDINGS = {
    ".keras": "keras",
    ".weights.h5": "keras weights",
    ".h5": "keras",
    ".hdf5": "keras",
    ".tflite": "tflite",
    ".lite": "tflite",
    ".onnx": "onnx",
    ".pt": "pytorch",
    ".pth": "pytorch",
    ".safetensors": "safetensors",
    ".pb": "frozen graph",
    ".pbtxt": "text graph",
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".joblib": "pickle",
}
_EXPORT = "load it with the code that made it, and write a SavedModel: "
_TF_SAVE = "tf.saved_model.save(module, folder, signatures=...)"
# By format: what the path is, and what to do.
_FORMATS: dict[str, tuple[str, str]] = {
    "keras weights": (
        "has only the weights of a Keras model, without its layers",
        f"{_EXPORT}model.load_weights(path), then model.export(folder)",
    ),
    "keras config": (
        "is the configuration of a Keras model, without its weights",
        "take the .keras or .h5 file of the model, or in Python model.export(folder)",
    ),
    "tflite": (
        "is a TFLite model, which is made for phones and can't be turned back",
        "take the model that it was converted from: its SavedModel, or its .keras file",
    ),
    "checkpoint": (
        "is a TensorFlow checkpoint: it has variables, but no graph",
        f"{_EXPORT}build the model, restore the checkpoint into it, then model.export(folder) "
        f"(Keras) or {_TF_SAVE}",
    ),
    "frozen graph": (
        "is a graph alone (a frozen graph), without the signature of a SavedModel",
        "import it in TensorFlow (tf.import_graph_def) and write it with "
        "tf.compat.v1.saved_model.simple_save(session, folder, inputs, outputs)",
    ),
    "text graph": (
        "is a graph as text, without the variables of a SavedModel",
        f"{_EXPORT}{_TF_SAVE}",
    ),
    "saved_model.pb under another name": (
        "is the graph file of a SavedModel under another name",
        f"name it {_GRAPH_FILE}, in a folder with its variables/ and assets/, and pass that folder",
    ),
    "onnx": (
        "is an ONNX model, which tf2spark doesn't run",
        "take the TensorFlow model that it was converted from, or convert it with onnx2tf, which "
        "writes a SavedModel",
    ),
    "pytorch": (
        "is a PyTorch file, which tf2spark doesn't run",
        "convert the model to a SavedModel first, with litert-torch or by torch.onnx.export and "
        "onnx2tf",
    ),
    "safetensors": (
        "has only weights (safetensors), without a graph",
        f"{_EXPORT}model.export(folder) (Keras) or {_TF_SAVE}",
    ),
    "pickle": (
        "is a Python pickle, which is never loaded: it could run any code",
        f"{_EXPORT}model.export(folder) (Keras) or {_TF_SAVE}",
    ),
    "tfjs": (
        "is a TensorFlow.js model",
        "take the model that it was converted from: its SavedModel, or its .keras file",
    ),
    "archive": (
        "is an archive",
        "unpack it (tar -xf, unzip), and pass the folder that contains saved_model.pb",
    ),
    "handle": (
        "is the handle of a model on TensorFlow Hub or Kaggle, and tf2spark downloads none",
        "download it once and pass the folder: path = kagglehub.model_download(handle)",
    ),
    "mlflow": (
        "is the URI of a model in MLflow, which can only be read",
        "tf2spark.mlflow.log_model writes one",
    ),
    "hugging face": (
        "is a model on Hugging Face, and tf2spark downloads none",
        "download it (huggingface_hub.snapshot_download), and pass the folder of its "
        "saved_model.pb if it has one",
    ),
    "git lfs": (
        "is a Git LFS pointer, and not the file that it stands for",
        "download the file in its repository: git lfs pull",
    ),
    "web": (
        "is a web address, and tf2spark downloads no models",
        "download the model, and pass its folder or its URI on HDFS or object storage",
    ),
}
_KERAS = (
    "is a Keras model, not a SavedModel",
    Advice(
        "compile it once, and score the package: "
        'tf2spark.compile_model("{path}", "{package}"), or in Keras model.export(folder)',
        "compile it once, and score the package: tf2spark compile {path} {package}, or in Keras "
        "model.export(folder)",
    ),
)


def is_mlflow_uri(path: str) -> bool:
    """Return whether a path is the URI of a model in MLflow."""
    return _MLFLOW.match(path) is not None


def check_address(path: str) -> None:
    """Refuse what a model hub or registry calls a model, and web addresses.

    Raises:
        ModelError: It is one.
    """
    addresses = {"handle": _HANDLE, "mlflow": _MLFLOW, "hugging face": _HUGGING_FACE, "web": _WEB}
    for kind, pattern in addresses.items():
        if pattern.match(path):
            raise error_of(kind, path)


def error_of(kind: str, path: str) -> ModelError:
    """Return the error for a path that is of another format."""
    if kind != "keras":
        problem, advice = _FORMATS[kind]
        return ModelNotFoundError(f'"{path}" {problem}', advice)
    package = f"{PurePosixPath(path).stem}.tf2spark"
    problem, keras_advice = _KERAS
    advice_texts = (
        text.format(path=path, package=package)
        for text in (keras_advice.python, keras_advice.command_line)
    )
    return ModelNotFoundError(f'"{path}" {problem}', Advice(*advice_texts))


def kind_by_name(path: str) -> str | None:
    """Return the format that the ending of a path stands for, or None."""
    name = path.rstrip("/").rpartition("/")[2].lower()
    if _ARCHIVE.search(name):
        return "archive"
    if _CHECKPOINT.search(name):
        return "checkpoint"
    return next((kind for ending, kind in _ENDINGS.items() if name.endswith(ending)), None)


def missing(folder: Path, path: str) -> ModelError:
    """Return the error of a path where nothing is, which may be a handle or a checkpoint's prefix.

    Args:
        folder: The path on this machine.
        path: As the user wrote it.
    """
    if folder.name and folder.with_name(f"{folder.name}.index").is_file():
        return error_of("checkpoint", path)
    if _KAGGLE.match(path):
        return error_of("handle", path)
    kind = "file" if kind_by_name(path) else "folder"
    return ModelNotFoundError(f'there is no SavedModel at "{path}": no such {kind}', _near(folder))


def _near(folder: Path) -> Advice | str:
    """Ask whether a folder beside it with a name like it is meant."""
    try:
        beside = [entry.name for entry in islice(folder.parent.iterdir(), _FOLDERS)]
    except OSError:  # its parent is missing as well, or can't be read
        return ""
    nearest = difflib.get_close_matches(folder.name, beside, n=1, cutoff=0.7)
    return f'did you mean "{folder.parent / nearest[0]}"?' if nearest else ""


def part_of_model(path: Path) -> ModelError | None:
    """Return the error of a file or folder that is a part of a SavedModel, or None."""
    model = model_around(str(path), is_folder=path.is_dir())
    if model is None or not (Path(model) / _GRAPH_FILE).is_file():
        return None
    return part_error(str(path), model)


def model_around(path: str, *, is_folder: bool) -> str | None:
    """Return the folder of the SavedModel that a path is a part of by its name, or None."""
    parent, _, name = path.rpartition("/")
    inner = path if is_folder else parent
    if inner.rpartition("/")[2] in _PART_FOLDERS:
        return inner.rpartition("/")[0]
    return parent if name in _PART_FILES else None


def part_error(path: str, model: str) -> ModelError:
    """Return the error of a path that is a part of a SavedModel."""
    problem = f'"{path}" is only a part of the SavedModel "{model}"'
    return ModelNotFoundError(problem, f'pass its folder, "{model}"')


def kind_of_file(path: Path) -> str | None:
    """Return the format of a file by its content, else by its name; None if neither says it.

    Raises:
        OSError: It can't be read.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
        stream.seek(max(0, path.stat().st_size - END_BYTES))
        end = stream.read(END_BYTES)
    if head.startswith(_ZIP):
        return _kind_of_zip(path)
    return kind_of_content(head, end, path.name)


def kind_of_content(head: bytes, end: bytes, name: str) -> str | None:
    """Return the format of a file by its first and last bytes, else by its name."""
    if head.startswith(_LFS):
        return "git lfs"
    if head.startswith(_ZIP):
        return kind_by_name(name) or "archive"
    if end == _TABLE_END:
        return "checkpoint"
    return _kind_of_bytes(head, name.lower()) or kind_by_name(name)


def _kind_of_bytes(head: bytes, name: str) -> str | None:
    if head.startswith(_HDF5):
        return "keras weights" if name.endswith(".weights.h5") else "keras"
    if head[4:8] == b"TFL3":
        return "tflite"
    if (
        head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd"))
        or head[257:262] == b"ustar"
    ):
        return "archive"
    if head.startswith(b"model_checkpoint_path:"):
        return "checkpoint"
    if re.match(rb"[\s\S]{7}\0\{\"", head):  # the length of a header, and the header
        return "safetensors"
    if re.match(rb"\x80[\x02-\x05]", head):
        return "pytorch" if kind_by_name(name) == "pytorch" else "pickle"
    if re.match(rb"\s*\{", head):
        return _kind_of_json(head)
    return _kind_of_message(head)


def _kind_of_json(head: bytes) -> str | None:
    if b'"modelTopology"' in head or b'"tfjs' in head or b'"graph-model"' in head:
        return "tfjs"
    return "keras config" if b'"class_name"' in head else None


def _kind_of_message(head: bytes) -> str | None:
    """Return the format of a protobuf message, by its first fields."""
    if re.match(rb"\x08\x01\x12", head):
        return "saved_model.pb under another name"
    if re.match(rb"\x08[\x03-\x10]\x12.[\w.\- ]+[\x1a\x22\x28\x2a\x32\x3a\x42]", head, re.DOTALL):
        return "onnx"
    # A node, with its name and op.
    if re.match(rb"\x0a[\x80-\xff]{0,4}[\x01-\x7f]\x0a.[\w./\-]+\x12.[A-Z_]\w+", head, re.DOTALL):
        return "frozen graph"
    return None


def _kind_of_zip(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return kind_by_name(path.name)
    if "config.json" in names and "metadata.json" in names:
        return "keras"
    if any(name.endswith(("/data.pkl", "/constants.pkl")) for name in names):
        return "pytorch"
    if kind_by_name(path.name) == "tflite":
        return "tflite"
    return "archive"


def is_lfs_pointer(content: bytes) -> bool:
    """Return whether this is what Git has in the place of a large file."""
    return content.startswith(_LFS)


def folder_advice(folder: Path) -> ModelError | None:
    """Return the error of a folder above or inside a SavedModel, or that has another format.

    Args:
        folder: A folder that is neither a SavedModel nor a package, and has no version folders.
    """
    if part := part_of_model(folder):
        return part
    if models := _models_below(folder):
        return not_a_model_but(str(folder), [str(model) for model in models])
    names = sorted(child.name for child in folder.iterdir() if child.is_file())
    return advice_of_files(
        str(folder), names, lambda name: kind_by_name(name) or _kind_or_none(folder / name)
    )


def advice_of_files(
    folder: str, names: list[str], kind_of: Callable[[str], str | None]
) -> ModelError | None:
    """Return the error of a folder whose files are of another format, or None."""
    if {"config.json", "metadata.json", "model.weights.h5"} <= set(names):
        return ModelNotFoundError(
            f'"{folder}" is the unpacked content of a Keras file',
            "zip the files again, without a folder around them, as model.keras; and compile that "
            "file: tf2spark compile model.keras model.tf2spark",
        )
    for name in names:
        kind = kind_of(name)
        if kind in _WHOLE_MODELS:
            found = error_of(kind, f"{folder.rstrip('/')}/{name}")
            problem = (
                f'"{folder}" is not a SavedModel: it has no {_GRAPH_FILE}, and {found.problem}'
            )
            return ModelNotFoundError(problem, found.advice)
    return None


def not_a_model_but(folder: str, models: list[str]) -> ModelError:
    """Return the error of a folder that isn't a SavedModel, but has some below it."""
    quoted = [f'"{model}"' for model in models[:3]]
    problem = (
        f'"{folder}" is not a SavedModel: it contains neither {_GRAPH_FILE} nor version folders'
    )
    if len(models) == 1:
        return ModelNotFoundError(f"{problem}, but {quoted[0]} does", f"pass {quoted[0]}")
    more = f" and {len(models) - 3} more" if len(models) > 3 else ""
    return ModelNotFoundError(
        f"{problem}, but these folders below it do: {', '.join(quoted)}{more}", "pass one of them"
    )


def _models_below(folder: Path) -> list[Path]:
    """Return the SavedModels below a folder; of version folders, the folder that has them."""
    found: dict[Path, None] = {}
    level, seen = [folder], 0
    for _ in range(_DEPTH):
        children = (child for parent in level for child in _folders_in(parent))
        level = list(islice(children, _FOLDERS - seen))
        seen += len(level)
        for child in level:
            if (child / _GRAPH_FILE).is_file():
                is_version = child.name.isascii() and child.name.isdigit()
                found[child.parent if is_version else child] = None
    return list(found)


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(
            child for child in folder.iterdir() if child.is_dir() and not child.is_symlink()
        )
    except OSError:
        return []


def _kind_or_none(path: Path) -> str | None:
    try:
        return kind_of_file(path)
    except OSError:
        return None
