"""One HTML file of a results directory: the batch at a glance, a table of slides, and a page for each of them.

Enters: a results directory. Leaves: ``report.html``, which opens from disk without a network. Next room: people.
"""

from wsipipe.report.html.write import Choice, write_report

__all__ = ["Choice", "write_report"]
