"""Tables whose files the workers read themselves: which tables, and what each task reads."""
