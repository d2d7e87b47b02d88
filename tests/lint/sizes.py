"""Sizes and names that the house keeps to; run by ``make lint``. Prints every place past a hard stop, exits 1 if any.

Hard stops: 400 lines a module, 40 lines a function body (docstring not counted), 7 arguments that may be given by
position (options are keyword-only; a command's options are its arguments, so ``wsipipe/cli`` is exempt from that one),
one broad ``except`` in the package, no module called utils, helpers, common, core, manager or processor.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE, BODY, ARGUMENTS = 400, 40, 7
MODULE_AIM, AIM = 250, 16
BANNED = {"utils", "util", "helpers", "common", "core", "manager", "processor"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    """All Python files of the package and its pipelines."""
    folders = (ROOT / "wsipipe", ROOT / "pipelines")
    return sorted(path for folder in folders for path in folder.rglob("*.py") if "wsipipe/pipelines" not in str(path))


def body_lines(function: Function) -> int:
    """Lines of a function's body, its docstring not counted."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function of a module, nested ones and methods too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def problems(path: Path, tree: ast.AST, lines: int) -> Iterator[str]:
    """What is past a hard stop in one module."""
    where = path.relative_to(ROOT)
    if lines > MODULE:
        yield f"{where}: {lines} lines, at most {MODULE}"
    if BANNED & set(path.stem.split("_")):
        yield f"{where}: a name that says nothing"
    for function in functions(tree):
        if body_lines(function) > BODY:
            yield f"{where}:{function.lineno} {function.name}: {body_lines(function)} body lines, at most {BODY}"
        given = len([a for a in (*function.args.posonlyargs, *function.args.args) if a.arg not in ("self", "cls")])
        if given > ARGUMENTS and where.parts[1] != "cli":
            yield f"{where}:{function.lineno} {function.name}: {given} arguments, at most {ARGUMENTS}"


def broad(path: Path, tree: ast.AST) -> Iterator[str]:
    """Every ``except`` that catches everything."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(kind is None or getattr(kind, "id", "") in ("Exception", "BaseException") for kind in caught):
                yield f"{path.relative_to(ROOT)}:{node.lineno}"


def main() -> int:
    """Check everything and print a line of sums."""
    wrong, catches, bodies, lengths = [], [], [], []
    for path in modules():
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        lengths.append(text.count("\n"))
        wrong += list(problems(path, tree, lengths[-1]))
        catches += list(broad(path, tree))
        bodies += [body_lines(function) for function in functions(tree)]
    if len(catches) > 1:
        wrong.append(
            f"broad except in {', '.join(catches)}: there is one place for it, where a worker records a failure"
        )
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(
        f"{len(lengths)} modules, {share(lengths, MODULE_AIM)} of them with {MODULE_AIM} lines or fewer; "
        f"{len(bodies)} functions, {share(bodies, AIM)} of their bodies with {AIM} lines or fewer; "
        f"{len(catches)} broad except"
    )
    return 1 if wrong else 0


def share(values: list[int], limit: int) -> str:
    """How many of `values` are within `limit`, in percent."""
    return f"{sum(value <= limit for value in values) / max(1, len(values)):.0%}"


if __name__ == "__main__":
    sys.exit(main())
