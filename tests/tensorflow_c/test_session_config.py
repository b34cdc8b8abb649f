from __future__ import annotations

import pytest

from tf2spark.tensorflow_c import session_config


@pytest.mark.parametrize("threads", [1, 2, 200])
def test_config_is_what_the_proto_says(threads: int) -> None:
    """The bytes written by hand read back through TensorFlow's own ConfigProto."""
    from tensorflow.core.protobuf import config_pb2

    config = config_pb2.ConfigProto.FromString(session_config.config(threads))
    assert config == config_pb2.ConfigProto(
        intra_op_parallelism_threads=threads,
        inter_op_parallelism_threads=-1 if threads == 1 else threads,
        use_per_session_threads=threads > 1,
        allow_soft_placement=True,
        gpu_options=config_pb2.GPUOptions(allow_growth=True),
        experimental=config_pb2.ConfigProto.Experimental(
            optimize_for_static_graph=True, disable_output_partition_graphs=True
        ),
    )
