"""Real services for tests, each started on loopback with ports of its own."""
