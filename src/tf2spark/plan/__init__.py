"""Everything a worker needs to know: frozen, serializable values, decided on the driver."""
