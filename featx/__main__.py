"""Run the command line with ``python -m featx``."""

from .cli import main

main()
