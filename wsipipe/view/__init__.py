"""A deep-zoom look at finished slides in a browser: a small server for this machine alone, and its pages.

Enters: a results directory, and the slides where they still are. Leaves: an address. Next room: people.
"""

from wsipipe.view.serve import Wishes, serve

__all__ = ["Wishes", "serve"]
