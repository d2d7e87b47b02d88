"""Pipelines: one page each, listing the steps from pixels to results. Importing one costs no torch."""
