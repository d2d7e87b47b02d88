"""What this machine gives: each stage of the tile path beside its limit and beside the peers, in one run.

Enters: a slide. Leaves: figures. Next room: `wsipipe.cli`. Peers are imported here to be measured, nowhere to be used.
"""
