"""What people read: contracts as text, JSON and HTML."""
