"""What came out of a run, for people and scripts: `open_results`."""

from wsipipe.query.results import Results, SlideResult, open_results

__all__ = ["Results", "SlideResult", "open_results"]
