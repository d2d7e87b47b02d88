"""Every public thing is documented, and what the documents name exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "wsipipe").rglob("*.py")) + sorted((ROOT / "pipelines").rglob("*.py"))
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public(tree: ast.Module) -> Iterator[tuple[str, Documented]]:
    """The module itself, its public functions and classes, and their public methods."""
    yield "module", tree
    for node in tree.body:
        if isinstance(node, Documented) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                methods = (n for n in node.body if isinstance(n, Documented) and not n.name.startswith("_"))
                yield from ((f"{node.name}.{method.name}", method) for method in methods)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_public_thing_has_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [name for name, node in public(tree) if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "NOTICE"])
def test_make_targets_and_paths_that_documents_name_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text)) - targets == set()
    named = set(re.findall(r"\b((?:wsipipe|pipelines|configs|tests)/[\w./-]*[\w/])", text))
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_the_changelog_names_this_version() -> None:
    version = re.search(r'__version__ = "(.+)"', (ROOT / "wsipipe/__init__.py").read_text(encoding="utf-8"))
    assert version is not None
    assert version.group(1) in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
