"""The house's sizes hold, and the script that checks them sees what it should."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def sizes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sizes", ROOT / "tests" / "lint" / "sizes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sizes_and_names_hold() -> None:
    done = subprocess.run(
        [sys.executable, "tests/lint/sizes.py"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("lines", "found"), [(40, 0), (41, 1)])
def test_a_body_is_counted_without_its_docstring(sizes: ModuleType, lines: int, found: int) -> None:
    tree = ast.parse('def f():\n    """One.\n\n    Two.\n    """\n' + "    x = 1\n" * lines)
    assert len(list(sizes.problems(ROOT / "wsipipe" / "x.py", tree, 50))) == found


@pytest.mark.parametrize(("lines", "found"), [(400, 0), (401, 1)])
def test_a_module_is_counted(sizes: ModuleType, lines: int, found: int) -> None:
    assert len(list(sizes.problems(ROOT / "wsipipe" / "x.py", ast.parse(""), lines))) == found


@pytest.mark.parametrize(("signature", "found"), [("self, a, b, c, d, e, f, g", 0), ("a, b, c, d, e, f, g, h", 1),
                                                  ("a, *, b, c, d, e, f, g, h, i", 0)])  # fmt: skip
def test_options_and_self_are_not_counted(sizes: ModuleType, signature: str, found: int) -> None:
    tree = ast.parse(f"def f({signature}): ...")
    assert len(list(sizes.problems(ROOT / "wsipipe" / "x.py", tree, 1))) == found


@pytest.mark.parametrize(("name", "found"), [("tile_utils", 1), ("core", 1), ("score", 0)])
def test_names_that_say_nothing(sizes: ModuleType, name: str, found: int) -> None:
    assert len(list(sizes.problems(ROOT / "wsipipe" / f"{name}.py", ast.parse(""), 1))) == found


@pytest.mark.parametrize(
    ("caught", "found"), [("", 1), (" Exception", 1), (" (OSError, Exception)", 1), (" OSError", 0)]
)
def test_broad_excepts_are_found(sizes: ModuleType, caught: str, found: int) -> None:
    tree = ast.parse(f"try:\n    f()\nexcept{caught}:\n    g()\n")
    assert len(list(sizes.broad(ROOT / "wsipipe" / "x.py", tree))) == found
