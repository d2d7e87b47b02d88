"""The report in headless Chromium: no error, no request, no serious finding of axe, sorted and filtered by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report import browser, made
from wsipipe.report.html import Choice, write_report

pytestmark = [
    pytest.mark.skipif(browser.executable() is None, reason=f"needs one of {', '.join(browser.NAMES)}, none is found"),
    pytest.mark.timeout(300),
]
EVIL = "<img src=x onerror=alert(1)>'\"\N{GRINNING FACE} &amp; %2e"
SLIDES = 24


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of twenty-four slides; the large pictures lie beside it."""
    folder = tmp_path_factory.mktemp("shown")
    made.publish_slide(folder, "slide-00", k=4)
    ids = [f"slide-{index:02d}" for index in range(SLIDES - 1)]
    made.copies(folder, "slide-00", ids[1:], linked=True)
    rows = [made.row(slide_id, index) for index, slide_id in enumerate(ids)]
    failed = {"id": EVIL, "status": "failed", "error": "SlideOpenError", "reason": EVIL, "case_id": EVIL}
    return write_report(made.finish(folder, [*rows, failed]), Choice(folder / "report.html"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for the module."""
    with browser.chromium() as running:
        yield running


def ids(page: Any) -> list[str]:
    """Names in the table that are seen, in its order."""
    seen: list[str] = page.eval_on_selector_all(
        "#table tbody tr:not([hidden]) th a", "all => all.map(a => a.textContent)"
    )
    return seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(chromium: Any, report: Path, scheme: str) -> None:
    with browser.opened(chromium, report, scheme=scheme) as (page, told):
        assert browser.findings(page) == []
        page.click("text=slide-00")
        page.wait_for_selector("#slide h1")
        assert page.inner_text("#slide h1") == "slide-00"
        assert browser.findings(page) == []
        assert told == []


def test_the_table_sorts_and_filters_by_keyboard(chromium: Any, report: Path) -> None:
    with browser.opened(chromium, report) as (page, told):
        assert len(ids(page)) == SLIDES
        page.focus("#table thead button:text('Time')")
        page.keyboard.press("Enter")
        page.wait_for_selector("th[aria-sort=ascending] >> text=Time")
        page.wait_for_selector("#table tbody tr:first-child th a:text-is('slide-00')")
        page.keyboard.press("Enter")
        page.wait_for_selector("#table tbody tr:first-child th a:text-is('slide-22')")
        assert ids(page)[-1] == EVIL  # it has no time: last in both orders
        page.focus("h1")
        page.keyboard.press("/")
        page.keyboard.type("slide-1")
        assert ids(page) == [f"slide-1{digit}" for digit in "9876543210"]
        assert page.inner_text("#count") == "10 of 24 slides"
        page.select_option("#category", "invasive")
        assert ids(page) == ["slide-19", "slide-15", "slide-11"]
        assert told == []


def test_arrows_go_in_the_tables_order_and_escape_comes_back(chromium: Any, report: Path) -> None:
    with browser.opened(chromium, report) as (page, told):
        page.fill("#find", "slide-2")
        page.click("#table >> text=slide-20")
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("#slide h1:text-is('slide-21')")
        page.keyboard.press("ArrowLeft")
        page.wait_for_selector("#slide h1:text-is('slide-20')")
        page.keyboard.press("ArrowLeft")  # it is the first
        assert page.inner_text("#slide h1") == "slide-20"
        page.keyboard.press("Escape")
        page.wait_for_selector("#batch", state="visible")
        assert page.evaluate("document.activeElement.textContent") == "slide-20"
        assert told == []


def test_pictures_layers_and_the_slider(chromium: Any, report: Path) -> None:
    with browser.opened(chromium, report) as (page, told):
        page.evaluate("location.hash = '#/slide/slide-03'")
        page.wait_for_selector("#slide img.wide")
        assert page.evaluate("document.querySelector('#slide img.wide').decode().then(() => true)")
        assert page.evaluate(
            "Promise.all([...document.querySelectorAll('#slide image')].map(one => { const img = new Image();"
            " img.src = one.href.baseVal; return img.decode().then(() => img.naturalWidth); }))"
        ) == [1024, 1280, *[1450] * 4]
        heat = "getComputedStyle(document.querySelector('#slide .main .heat')).opacity"
        page.fill("#slide .heat-range", "20")
        assert float(page.evaluate(heat)) == pytest.approx(0.2)
        assert page.is_hidden("#slide .main .edges")
        page.check("#slide [data-layer=edges]")
        assert page.evaluate("getComputedStyle(document.querySelector('#slide .main .edges')).display") != "none"
        page.click("#slide button.zoom >> nth=0")
        assert page.is_visible("dialog svg")
        page.keyboard.press("Escape")
        assert page.is_hidden("dialog")
        assert page.is_visible("#slide h1")
        assert told == []


def test_hostile_names_stay_text(chromium: Any, report: Path) -> None:
    with browser.opened(chromium, report) as (page, told):
        page.click("#table tr[data-status=failed] th a")
        page.wait_for_selector("#slide h1")
        assert page.inner_text("#slide h1") == EVIL
        assert page.locator("#slide img").count() == 0
        page.keyboard.press("ArrowRight")
        assert told == []


def test_injected_script_does_not_run(chromium: Any, report: Path, tmp_path: Path) -> None:
    """Were a name ever not escaped, the policy would still refuse it."""
    text = report.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    injected = "<script>window.hit = 1</script><img src=x onerror='hit=2'>"
    broken.write_text(text.replace('<h2 id="slides">', f'{injected}<h2 id="slides">'))
    with browser.opened(chromium, broken) as (page, told):
        assert page.evaluate("typeof window.hit") == "undefined"
        assert any("Content Security Policy" in line for line in told)
