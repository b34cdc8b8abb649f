"""TensorFlow's C API, bound with ctypes: sessions, graphs, tensors and strings."""
