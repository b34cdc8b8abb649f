"""Tables of Spark's catalogs and files, as the command line names them."""
