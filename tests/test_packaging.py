"""pyproject.toml, requirements.lock and environment.yml say the same; the wheel holds what a user needs; no committed
file names a package registry or a machine.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
OWNERS = ("openslide-python", "tiatoolbox", "torch", "torch-geometric", "scikit-image", "staintools", "zarr", "dask")
TOP_LEVEL = ("wsipipe", "pipelines", "tests", "configs", "environment.yml", "pyproject.toml", "README.md")
GPL = {
    "spams-bin",
    "docutils",
}  # named in NOTICE; docutils is public domain but for an editor file that is not installed


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


@pytest.fixture(scope="module")
def environment() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "environment.yml").read_text())
    return found


def test_environment_names_the_same_packages(environment: dict[str, Any]) -> None:
    lines = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    options = [line for line in lines if line.startswith("-")]
    named = {canonicalize_name(Requirement(line).name) for line in lines if line not in options}
    assert options == ["--constraint requirements.lock", "--editable ."]
    assert named == {*requirements(), "opencv-python"}


def test_environment_has_a_python_that_we_support(environment: dict[str, Any]) -> None:
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert "3.11" in Requirement(f"x{python}").specifier
    assert "python=3.11" in environment["dependencies"]
    assert environment["channels"] == ["conda-forge"]


def test_one_opencv(environment: dict[str, Any]) -> None:
    assert [name for name in locked() if name.startswith("opencv")] == ["opencv-python-headless"]
    assert f"opencv-python=={locked()['opencv-python-headless']}" in environment["dependencies"][-1]["pip"]


def third_party_imports(folder: str) -> set[str]:
    """Names of all modules outside the standard library and this project that `folder` imports."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"wsipipe", "pipelines", "tests"}


@pytest.mark.parametrize("folder", ["wsipipe", "pipelines", "tests"])
def test_what_is_imported_is_declared(folder: str) -> None:
    owners = importlib.metadata.packages_distributions()
    declared = set(requirements()) | {extra for wanted in requirements().values() for extra in wanted.extras}
    undeclared = {
        module
        for module in third_party_imports(folder)
        if not declared & {canonicalize_name(owner) for owner in owners.get(module, ())}
    }
    assert undeclared == set()


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


def test_no_other_gpl_in_the_lock() -> None:
    found = set()
    for name in locked():
        meta = importlib.metadata.metadata(name)
        texts = [meta.get("License-Expression", ""), *(c for c in meta.get_all("Classifier", []) if "License" in c)]
        if re.search(r"(?<!L)GPL|(?<!Lesser )General Public", re.sub(r"\(.* OR .*?\)", "", " ".join(texts))):
            found.add(name)
    assert found <= GPL


def committed() -> list[Path]:
    """What is in the repository or about to be: the files that git knows and does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("needs a git checkout to know which files are ours")
    return [path for path in map(ROOT.joinpath, listed.stdout.splitlines()) if path.is_file() and not path.is_symlink()]


def test_no_file_names_a_registry_or_a_machine() -> None:
    registry = (
        r"--(?:extra-)?index-url|--find-links\s+\w*[:/]|\w+://[^\s\"']*/simple\b|files\.pythonhosted\.org|\bpypi\.org"
    )
    machine = r"(?<![\w.~$})/-])/(?:home|Users|root|work)/[\w.]+"
    pattern = re.compile(f"{registry}|{machine}")
    wrong = []
    for path in committed():
        if path.suffix in {".py", ".md", ".yaml", ".yml", ".toml", ".lock", ".cfg", ".json", ".txt", ".sh", ""}:
            found = pattern.search(path.read_text(encoding="utf-8", errors="ignore"))
            if found and path != Path(__file__):
                wrong.append(f"{path.relative_to(ROOT)}: {found.group(0)}")
    assert wrong == []


def test_configs_and_pipelines_are_inside_the_package() -> None:
    for name in ("pipelines", "configs"):
        assert (ROOT / "wsipipe" / name).is_symlink()
        assert (ROOT / "wsipipe" / name).resolve() == (ROOT / name).resolve()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in a wheel built from a copy of what git knows, with a pretended set of weights."""
    tree = tmp_path_factory.mktemp("tree")
    for path in (*committed(), ROOT / "wsipipe" / "pipelines", ROOT / "wsipipe" / "configs"):
        target = tree / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target, follow_symlinks=False)
    for name in ("models/weights/made.safetensors", "models/weights/made.json"):
        (tree / "wsipipe" / name).parent.mkdir(exist_ok=True)
        (tree / "wsipipe" / name).write_bytes(b"")
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", "dist", "."]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(zipfile.ZipFile(next((tree / "dist").glob("*.whl"))).namelist())


def test_wheel_holds_code_configs_and_weights(wheel: set[str]) -> None:
    wanted = {f"wsipipe/configs/{path.name}" for path in (ROOT / "configs").glob("*.yaml")}
    wanted |= {f"wsipipe/pipelines/{path.name}" for path in (ROOT / "pipelines").glob("*.py")}
    wanted |= {"wsipipe/py.typed", "wsipipe/models/weights/made.safetensors", "wsipipe/models/weights/made.json"}
    wanted |= {
        str(p.relative_to(ROOT)) for p in committed() if p.suffix == ".py" and p.is_relative_to(ROOT / "wsipipe")
    }
    assert wanted - wheel == set()


def test_wheel_holds_pages_scripts_and_their_licences(wheel: set[str]) -> None:
    pages = [
        p.relative_to(ROOT) for p in committed() if p.parent.name == "static" and p.is_relative_to(ROOT / "wsipipe")
    ]
    assert {path.suffix for path in pages} >= {".html", ".css", ".js", ".txt"}
    assert {"openseadragon.min.js", "openseadragon.LICENSE.txt"} <= {path.name for path in pages}
    assert {str(path) for path in pages} - wheel == set()
    banner = (ROOT / "wsipipe/view/static/openseadragon.min.js").read_text(encoding="utf-8").splitlines()[0]
    assert banner.removeprefix("//! openseadragon ") in (ROOT / "NOTICE").read_text(encoding="utf-8")


def test_wheel_holds_nothing_but_the_package_and_its_licences(wheel: set[str]) -> None:
    assert {name.partition("/")[0].partition("-")[0] for name in wheel} == {"wsipipe"}
    assert {name.rpartition("/")[2] for name in wheel if "/licenses/" in name} == {"LICENSE", "NOTICE"}
    assert [name for name in wheel if "test" in name.partition("/")[2].split("/")[0]] == []
