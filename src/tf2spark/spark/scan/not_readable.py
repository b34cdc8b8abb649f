"""Why a table is left to Spark."""


class NotReadable(Exception):
    """The workers can't read this table themselves; the text says why, as a clause."""
