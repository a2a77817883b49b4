"""`python -m promptlab`: the command line."""

from __future__ import annotations

from promptlab.cli.app import main

if __name__ == "__main__":
    main()
