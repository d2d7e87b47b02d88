"""The report of a thousand slides: its size, how soon it is written, opened, sorted and filtered, and what axe finds.

    python tests/benchmarks/report.py [--slides 1000] [--folder DIR]

Makes a results directory (one slide published by the store's own code, the others hard links of it under other ids,
every tenth slide failed or skipped), writes the report twice without pictures (`--no-pictures`) and with linked ones,
opens each three times in headless Chromium, and looks at the batch and at a slide page with axe-core, light and dark.
The bars: under 30 MB without pictures, usable in under 2 s, no serious finding.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.report import browser, made
from wsipipe.report.html import Choice, write_report

FIRST = "gastric-slide-00000-a1b2c3d4e5f6"


def make(folder: Path, slides: int) -> Path:
    """A results directory of so many slides."""
    made.publish_slide(folder, FIRST)
    ids = [f"gastric-slide-{index:05d}-a1b2c3d4e5f6" for index in range(slides)]
    rows = []
    for index, slide_id in enumerate(ids):
        if index % 20 == 19:
            bad = {
                "id": slide_id,
                "status": "failed",
                "error": "SlideOpenError",
                "reason": f"no reader knows it ({index})",
            }
            rows.append(bad)
        elif index % 20 == 9:
            rows.append({"id": slide_id, "status": "skipped", "reason": "the same content as another slide"})
        else:
            rows.append(made.row(slide_id, index))
    made.copies(folder, FIRST, [row["id"] for row in rows if row["status"] == "done"][1:], linked=True)
    return made.finish(folder, rows)


def written(folder: Path, choice: Choice) -> Path:
    """Write, and say how long it took and how large it is."""
    start = time.perf_counter()
    path = write_report(folder, choice)
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, written in {time.perf_counter() - start:.1f} s")
    return path


def look(path: Path) -> None:
    """Open it three times, then let axe look at it."""
    with browser.chromium() as chromium:
        for _ in range(3):
            told = browser.usable_after(chromium, path)
            print("  " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in told.items()))
        for scheme in ("light", "dark"):
            with browser.opened(chromium, path, scheme=scheme) as (page, told_page):
                on_batch = browser.findings(page)
                page.evaluate("location.hash = document.querySelector('#table tbody th a').getAttribute('href')")
                page.wait_for_selector("#slide h1")
                on_slide = browser.findings(page)
                print(f"  axe, {scheme}: batch {on_batch or 'none'}, slide {on_slide or 'none'}; {told_page}")


def main() -> None:
    """Make, write, look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=1000)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as kept:
        folder = given.folder or Path(kept)
        folder.mkdir(exist_ok=True, parents=True)
        if not (folder / "slides.parquet").is_file():
            make(folder, given.slides)
        plain = written(folder, Choice(folder / "plain.html", pictures=False))
        linked = written(folder, Choice(folder / "linked.html"))
        written(folder, Choice(folder / "linked.html"))
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")
        for path in (plain, linked):
            print(path.name)
            look(path)


if __name__ == "__main__":
    main()
