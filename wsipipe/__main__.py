"""``python -m wsipipe`` is the `wsipipe` command."""

from wsipipe.cli import main

main()
