"""All that a worker is told: frozen, serialisable values, decided on the driver."""
