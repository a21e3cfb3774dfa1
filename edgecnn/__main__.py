"""`python -m edgecnn` is the same program as `edgecnn`."""

from edgecnn.cli.main import main

if __name__ == "__main__":
    main()
