"""Fields to a mosaic, as a resumable course: fields, edges, positions, blocks, levels."""

from wsipipe.run.mosaic.make import Made, make
from wsipipe.run.mosaic.plan import MosaicPlan

__all__ = ["Made", "MosaicPlan", "make"]
