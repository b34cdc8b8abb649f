"""What rules do to forms."""
