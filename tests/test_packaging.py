"""pyproject.toml, requirements.lock and environment.yml say the same; no committed file names a registry or a machine."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
OWNERS = ("openslide-python", "tiatoolbox", "torch", "torch-geometric", "scikit-image", "staintools", "zarr", "dask")
TOP_LEVEL = ("wsipipe", "pipelines", "tests", "configs", "environment.yml", "pyproject.toml", "README.md")


def requirements() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(t for extra in project["optional-dependencies"].values() for t in extra)]
    return {canonicalize_name(Requirement(text).name): Requirement(text) for text in texts}


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().split()
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


def test_lock_has_only_names_and_versions() -> None:
    wrong = [
        line
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+", line)
    ]
    assert wrong == []
    assert "wsipipe" not in locked()


def test_lock_satisfies_every_requirement() -> None:
    versions = locked()
    wrong = [str(r) for name, r in requirements().items() if name not in versions or versions[name] not in r.specifier]
    assert wrong == []


def test_environment_installs_the_lock_and_us() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert pip == ["-r requirements.lock", "--no-deps -e ."]
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert "3.11" in Requirement(f"x{python}").specifier
    assert "python=3.11" in environment["dependencies"]


@pytest.mark.parametrize("name", OWNERS)
def test_owners_packages_are_declared_and_imported(name: str) -> None:
    assert canonicalize_name(name) in requirements()
    module = {"openslide-python": "openslide", "scikit-image": "skimage"}.get(name, name.replace("-", "_"))
    code = "\n".join(path.read_text() for path in (ROOT / "wsipipe").rglob("*.py"))
    assert re.search(rf"^\s*(import|from) {module}\b", code, re.MULTILINE)


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_top_level(name: str) -> None:
    assert (ROOT / name).exists()


def test_gpl_is_an_extra_and_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not [text for text in project["dependencies"] if "spams" in text or "staintools" in text]
    assert any("spams-bin" in text for text in project["optional-dependencies"]["staintools"])
    assert "spams-bin" in (ROOT / "NOTICE").read_text()


def test_no_file_names_a_registry_or_a_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split("\n")
    names = [ROOT / name for name in listed if name] or [p for p in ROOT.glob("*") if p.is_file()]
    pattern = re.compile(r"--(?:extra-)?index-url|https?://\S+/simple\b|(?<![\w.~$}])/(?:work|root|farm)/[\w.]+")
    wrong = []
    for path in names:
        if path.is_file() and path.suffix in {".py", ".md", ".yaml", ".yml", ".toml", ".lock", ".cfg", ""}:
            found = pattern.search(path.read_text(errors="ignore"))
            if found and path != Path(__file__):
                wrong.append(f"{path.name}: {found.group(0)}")
    assert wrong == []


def test_configs_and_pipelines_are_inside_the_package() -> None:
    for name in ("pipelines", "configs"):
        assert (ROOT / "wsipipe" / name).is_symlink()
        assert (ROOT / "wsipipe" / name).resolve() == (ROOT / name).resolve()
