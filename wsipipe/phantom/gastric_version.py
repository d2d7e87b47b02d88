"""Version of the generator of gastric phantoms, and a hash of every number that shapes a slide.

Enters: the parameters of the generator's modules. Leaves: `VERSION` and `GENERATOR`, recorded in every truth.
A change that changes pixels or truth takes a new `VERSION`, and new figures wherever old ones were reported;
``tests/phantom/test_frozen.py`` holds what the current version draws.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from wsipipe.phantom import (
    gastric_artefact,
    gastric_lesion,
    gastric_mucosa,
    gastric_record,
    gastric_regime,
    gastric_sprite,
    gastric_stroma,
    gastric_style,
    gastric_tile,
)
from wsipipe.stage import digest

VERSION = "1"
"""1 is the first that is frozen."""


def parameters() -> dict[str, Any]:
    """Every named number of the generator, as JSON values."""
    stroma = {name: getattr(gastric_stroma, name) for name in ("LAMINA", "MUSCLE", "SUBMUCOSA", "REACTIVE", "BLOOD")}
    return {
        "version": VERSION,
        "styles": {name: asdict(style) for name, style in gastric_style.STYLES.items()},
        "nuclei": {kind.name: asdict(form) for kind, form in gastric_sprite.FORMS.items()},
        "tones": gastric_sprite.TONES,
        "regimes": {name: asdict(regime) for name, regime in gastric_regime.REGIMES.items()},
        "jitter": [*gastric_regime.JITTER, gastric_regime.MPP_JITTER],
        "artefacts": gastric_artefact.CHANCE,
        "patches": gastric_mucosa.PATCHES,
        "stroma": stroma,
        "truth": [*gastric_record.BRIDGE_UM, gastric_record.HOLE_UM2, gastric_lesion.SMALLEST_UM],
        "tiles": [gastric_tile.FIELD_UM, gastric_tile.PER_FIELD, gastric_tile.CLASS_SHARE],
    }


GENERATOR = digest(parameters())
"""First twelve hex digits of the sha256 of `parameters`."""
