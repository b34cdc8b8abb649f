"""What `recommend` makes of the architectures that people publish: ``python -m benchmarks.survey``.

The models come from the packages themselves (DeepCTR, TensorFlow Recommenders), from Keras' code
examples and from papers. Each is saved with random weights, split by `recommend`, and every pair's
score is compared with TensorFlow's.
"""
