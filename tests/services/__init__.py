"""Real services for tests, each started on loopback with its own ports."""
