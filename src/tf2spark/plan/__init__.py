"""Everything a worker is told: frozen, serializable values, decided on the driver."""
