"""Run the command line by `python -m sfumato`."""

from sfumato.apps.cli import main

main()
