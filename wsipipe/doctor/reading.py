"""Whether slides can be read: OpenSlide, and every codec that slides use, tried on a tiny picture.

Enters: nothing. Leaves: findings. Next: `wsipipe.doctor.examine`.
"""

from __future__ import annotations

from wsipipe.doctor.finding import Finding, graded
from wsipipe.slide.codecs import openslide_version, tried


def openslide() -> Finding:
    """OpenSlide's library can be loaded."""
    version = openslide_version()
    return graded("openslide", version or "cannot be loaded", "pip install openslide-bin", fail=not version)


def codecs() -> list[Finding]:
    """One line per codec."""
    fix = "pip install --force-reinstall imagecodecs tifffile"
    return [graded(f"codec {name}", wrong or "decodes", fix, fail=bool(wrong)) for name, wrong in tried().items()]
