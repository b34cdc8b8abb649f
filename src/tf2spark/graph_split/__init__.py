"""`recommend`'s algebra: a user x item graph split into what depends on users, items and pairs."""
