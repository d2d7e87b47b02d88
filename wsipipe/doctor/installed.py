"""What is installed: Python, libraries within their bounds, weights as their cards say.

Enters: the package's own metadata. Leaves: findings. Next: `wsipipe.doctor.examine`.
"""

from __future__ import annotations

import platform
import sys
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from wsipipe.doctor.finding import FAIL, PASS, Finding, graded
from wsipipe.errors import WeightsError
from wsipipe.models import weights as files

AGAIN = "make install, or pip install -r requirements.lock"


def python() -> Finding:
    """The interpreter, against ``requires-python``."""
    wanted = SpecifierSet((_metadata().get_all("Requires-Python") or [">=3.11"])[0])
    version = platform.python_version()
    said = f"{version} ({sys.executable}), needs {wanted}"
    return graded("python", said, "use Python 3.11 or 3.12", fail=not wanted.contains(version, prereleases=True))


def libraries() -> list[Finding]:
    """One line for all that are within their bounds, one for each that is missing or is not."""
    texts = _metadata().get_all("Requires-Dist") or []
    needed = [one for one in map(Requirement, texts) if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [finding for one in needed if (finding := _wrong(one))]
    if not needed:
        return [Finding("libraries", FAIL, "wsipipe is not installed, its bounds are unknown", AGAIN)]
    right = len(needed) - len(wrong)
    shown = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "zarr", "dask") if _has(name))
    return [Finding("libraries", PASS, f"{right} of {len(needed)} within their bounds ({shown})"), *wrong]


def weights() -> list[Finding]:
    """The sha256 of every file of weights that ships, against its card."""
    found = []
    for path in sorted(files.FOLDER.glob("*.safetensors")):
        try:
            said = f"sha256 {files.find(path).sha256[:12]} as its card says"
            found.append(Finding(f"weights {path.stem}", PASS, said))
        except WeightsError as error:
            fix = "install the package again: the file was changed or cut off"
            found.append(Finding(f"weights {path.stem}", FAIL, error.message, fix))
    return found or [Finding("weights", FAIL, f"none in {files.FOLDER}", "install the package again")]


def _metadata() -> metadata.PackageMetadata:
    try:
        return metadata.metadata("wsipipe")
    except metadata.PackageNotFoundError:
        import email.message

        return email.message.Message()  # type: ignore[return-value]  # what metadata() returns has its methods


def _has(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


def _wrong(one: Requirement) -> Finding | None:
    if not _has(one.name):
        return Finding(f"library {one.name}", FAIL, f"missing, needs {one.specifier or 'any version'}", AGAIN)
    version = metadata.version(one.name)
    if one.specifier.contains(version, prereleases=True):
        return None
    return Finding(f"library {one.name}", FAIL, f"{version}, needs {one.specifier}", AGAIN)
