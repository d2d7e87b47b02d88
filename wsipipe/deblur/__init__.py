"""Focus and deblurring: how sharp tiles are, what blur they have, and restoration of it, classical and learned."""

from wsipipe.deblur.network import sharpen
from wsipipe.deblur.stage import focus, restore

__all__ = ["focus", "restore", "sharpen"]
