"""StableHLO modules, as jax2tf exports them, opened into ops of TensorFlow."""
