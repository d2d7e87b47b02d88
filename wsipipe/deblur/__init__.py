"""Focus and deblurring: how sharp tiles are, and classical restoration of an assumed blur."""

from wsipipe.deblur.stage import focus, restore

__all__ = ["focus", "restore"]
