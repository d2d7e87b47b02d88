"""A table of figures, said in the terminal and written for people and for machines.

Enters: rows of texts, numbers and `Interval`. Leaves: ``NAME.md``, ``NAME.csv``, ``NAME.json``. Next: nobody.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from wsipipe.evaluate.interval import Interval

WIDTH = 160


@dataclass
class Table:
    """Rows under columns, with a title and notes; `add` checks that a row has a cell for every column."""

    title: str
    columns: Sequence[str]
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, *cells: Any) -> None:
        """Append a row."""
        assert len(cells) == len(self.columns), (cells, self.columns)
        self.rows.append(cells)

    def show(self, console: Console | None = None) -> None:
        """Print it."""
        console = console or Console(highlight=False, width=max(Console().width, WIDTH))
        grid = Grid(*self.columns, title=self.title, title_justify="left", box=None, pad_edge=False)
        for row in self.rows:
            grid.add_row(*map(text, row))
        console.print(grid)
        for note in self.notes:
            console.print(note)

    def write(self, folder: Path, name: str) -> None:
        """Write ``NAME.md``, ``NAME.csv`` and ``NAME.json`` to a folder, which is made; files there are replaced."""
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"# {self.title}", "", _line(self.columns), _line("---" for _ in self.columns)]
        lines += [_line(map(text, row)) for row in self.rows]
        lines += ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        (folder / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.columns)
            writer.writerows(tuple(map(text, row)) for row in self.rows)
        told = json.dumps(self.told(), indent=1, allow_nan=True)
        (folder / f"{name}.json").write_text(told + "\n", encoding="utf-8")

    def told(self) -> dict[str, Any]:
        """As JSON values; an interval becomes ``{value, low, high}``."""
        rows = [dict(zip(self.columns, map(_plain, row), strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "notes": self.notes}


def text(cell: Any) -> str:
    """A cell as it is read."""
    if cell is None:
        return "-"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def _line(cells: Any) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _plain(cell: Any) -> Any:
    return {"value": cell.value, "low": cell.low, "high": cell.high} if isinstance(cell, Interval) else cell
