from __future__ import annotations

import pytest

from tf2spark.tensorflow_c.failure import Cause, TensorFlowFailure, model_fault, readable


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (3, "values"),
        (11, "values"),
        (15, "values"),
        (5, "values or model"),
        (7, "values or model"),
        (9, "values or model"),
        (12, "values or model"),
        (1, "process"),
        (8, "process"),
        (13, "process"),
    ],
)
def test_the_code_says_what_can_be_the_cause(code: int, cause: Cause) -> None:
    """Rows are tried one by one only for codes that values can cause."""
    failure = TensorFlowFailure(code, "")
    assert (failure.cause, failure.row_caused) == (cause, cause == "values")


_NO_KERNEL = (
    "No OpKernel was registered to support Op 'CudnnRNNV3' used by {{node f/CudnnRNNV3}} with "
    "these attrs: [T=DT_FLOAT]\nRegistered devices: [CPU]\nRegistered kernels:\n  %s\n\n"
    "\t [[f/CudnnRNNV3]]"
)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            _NO_KERNEL % "<no registered kernels>",
            "the model can't run here: this TensorFlow has no kernel on CPU for its op CudnnRNNV3; "
            "export the model without that op; the Cudnn ops need a GPU (layers that are built "
            "with use_cudnn=False, or loaded without one, don't have them)",
        ),
        (
            _NO_KERNEL.replace("CudnnRNNV3", "Igamma") % "device='CPU'; T in [DT_DOUBLE]",
            "the model can't run here: this TensorFlow has no kernel on CPU for its op Igamma for "
            "these types (kernels: device='CPU'; T in [DT_DOUBLE]); export the model without that "
            "op",
        ),
        (
            "Cannot assign a device for operation mul: {{node mul}} was explicitly assigned to "
            "/job:ps/task:0/device:CPU:0 but available devices are [ /job:localhost/device:CPU:0 ]",
            'the model can\'t run: its node "mul" is assigned to /job:ps/task:0/device:CPU:0, a '
            "device of the cluster that it was trained on; compile the model, as a package has no "
            "devices (SavedModel(path).compile(package) or tf2spark compile MODEL PACKAGE), or "
            "export it with clear_devices=True",
        ),
        (
            "Table not initialized.\n\t [[{{node find}}]]",
            "the model can't run: nothing fills one of its lookup tables (Table not initialized. "
            "(node find)); export it with the initializer of its tables: in TensorFlow 2 the saved "
            "object must have the table as an attribute; in TensorFlow 1 tf.tables_initializer() "
            "is the main_op",
        ),
        (
            "ValueError: Could not find callback with key=pyfunc_0 in the registry.\n\n"
            "Traceback (most recent call last):\n\n\n\t [[{{node PyFunc}}]]",
            "the model can't run: it calls a Python function, which a SavedModel doesn't contain; "
            "export it without tf.py_function and tf.numpy_function",
        ),
        (
            "Resource localhost/x/N10tensorflow6lookup does not exist.\n\t [[{{node find}}]]",
            "the model can't run: Resource localhost/x/N10tensorflow6lookup does not exist. "
            "(node find)",
        ),
        (
            "Detected unsupported operations when trying to compile graph __inference_serve_981[] "
            "on XLA_CPU_JIT: AsString (No registered 'AsString' OpKernel for XLA_CPU_JIT devices "
            "compatible with node {{node AsString}}){{node AsString}}\nThe op is created at:\n"
            "\t [[PartitionedCall/PartitionedCall]]",
            "the model can't run: its function serve is compiled by XLA (jit_compile=True), which "
            "can't compile AsString; export the model without jit_compile: tf.function(...) "
            "without it, and in Keras model.compile(..., jit_compile=False) before "
            "model.export(path)",
        ),
        (
            "Detected unsupported operations when trying to compile graph __inference_f_1[] on "
            "XLA_CPU_JIT: _Arg (No registered '_Arg' OpKernel for XLA_CPU_JIT devices compatible "
            "with node {{node x}}\n\t (OpKernel was found, but attributes didn't match) Requested "
            "Attributes: T=DT_STRING, index=0){{node x}}",
            "the model can't run: its function f is compiled by XLA (jit_compile=True), which "
            "can't compile its arguments of type string; export the model without jit_compile: "
            "tf.function(...) without it, and in Keras model.compile(..., jit_compile=False) "
            "before model.export(path)",
        ),
    ],
)
def test_what_fails_for_any_values_is_said_of_the_model(message: str, expected: str) -> None:
    """A missing kernel, table or resource gives an error that names it, in one sentence."""
    assert str(model_fault(TensorFlowFailure(3, readable(message)))) == expected


def test_a_value_s_text_can_t_pass_for_a_fault_of_the_model() -> None:
    """TensorFlow quotes values in its messages, never at their start."""
    quoted = "could not correctly convert string: Table not initialized."
    assert model_fault(TensorFlowFailure(3, quoted)) is None


def test_a_constant_that_can_t_be_made_is_no_row_s_fault() -> None:
    """A constant too large for the memory fails in every run, after seconds each."""
    message = "Cannot parse tensor from proto: dtype: DT_FLOAT"
    assert not TensorFlowFailure(3, message).row_caused


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("plain", "plain"),
        ("", "no message"),
        (
            "indices[0] = -5 is not in [0, 2)\n\t [[{{function_node __inference_g_201}}"
            "{{node user/GatherV2}}]]",
            "indices[0] = -5 is not in [0, 2) (node user/GatherV2)",
        ),
        (
            "2 root error(s) found.\n  (0) INVALID_ARGUMENT: Cut off.\n\t [[{{node a/b}}]]\n\t "
            "[[a/c/_5]]\n  (1) INVALID_ARGUMENT: Cut off.\n\t [[{{node a/b}}]]\n"
            "0 successful operations.\n0 derived errors ignored.",
            "Cut off. (node a/b)",
        ),
        (
            "OOM when allocating\n\t [[{{node m}}]]\nHint: If you want to see a list of allocated "
            "tensors when OOM happens, add report_tensor_allocations_upon_oom to RunOptions.\n",
            "OOM when allocating (node m)",
        ),
        (
            "{{function_node __inference_f_<lambda>_26}} {{function_node while_body_1}} No "
            "OpKernel was registered\n\n\t [[while/body/_1/while/Rnn]]\n\t [[PartitionedCall]]",
            "No OpKernel was registered",
        ),
        ("assertion failed: [a] [x = ] [[1 2][3 4]]", "assertion failed: [a] [x = ] [[1 2][3 4]]"),
    ],
)
def test_readable_keeps_the_reason_and_the_node(message: str, expected: str) -> None:
    """An error message keeps its reason and the failing node, and loses the rest."""
    assert readable(message) == expected


@pytest.mark.parametrize("message", ["One of JPEG, PNG required.", "One of JPEG, PNG required"])
def test_what_a_row_is_refused_for_goes_on(message: str) -> None:
    """Without the node, and without the period before the semicolon of our message."""
    failure = TensorFlowFailure(3, f"{message} (node DecodeJpeg)")
    assert failure.without_node == "One of JPEG, PNG required"
