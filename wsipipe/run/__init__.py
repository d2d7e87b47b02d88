"""Pipelines as steps, batches of slides, workers: the one door to dask.

Enters: a pipeline and sources. Leaves: layers in stores, one row per slide. Next rooms:
`wsipipe.report`, `wsipipe.cli`.
"""
