"""Zarr on disk: resumable layers with marks, published elements, records. The one door to zarr and anndata.

Enters: arrays of units. Leaves: files that a killed run can trust and other tools open. Next rooms:
`wsipipe.run` writes, `wsipipe.query` reads.
"""
