"""`python -m tf2spark` is the command `tf2spark`."""

from tf2spark.cli.main import main

if __name__ == "__main__":
    main()
