"""Fields to a slide: where each field lies, how it is lit, and the mosaic that they make. Pure functions."""
