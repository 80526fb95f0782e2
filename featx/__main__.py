"""Run the command line with ``python -m featx``."""

from .cli.app import main

main()
