"""What people use today, as the peers' own documentation recommends; one module per peer."""
