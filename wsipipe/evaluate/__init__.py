"""How good each system is, on pictures whose truth is known: tables with intervals, baselines beside ours, pictures.

Enters: a configuration, trained weights. Leaves: a folder with ``table.md``, ``table.csv``, ``table.json`` and
plots. Next: `wsipipe.cli.evaluate` prints them.
"""
