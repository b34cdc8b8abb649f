"""What people use today, each by its own documentation's way; one file a peer."""
