"""The viewer in a real browser, with real clicks and keys; skipped where there is no Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.view.made import Served

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"needs a Chromium: none of {', '.join(NAMES)} is on the path")
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@contextmanager
def opened(browser: Any, viewer: Served, path: str, *, scheme: str = "light") -> Iterator[Any]:
    """A page of the viewer; errors on its console and requests to anywhere else fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page, told, asked = context.new_page(), list[str](), list[str]()
    page.on("console", lambda message: told.append(f"{message.text} {message.location['url']}"))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(viewer.gate.address + path)
    try:
        yield page
        refused = ("linked-1/thumbnail.jpg", "inside-1/thumbnail.jpg")  # stores that lead out of the results
        assert [line for line in told if not line.endswith(refused)] == []
        assert [url for url in asked if not url.startswith((viewer.gate.address, "data:", "blob:"))] == []
    finally:
        context.close()


@contextmanager
def slide_page(browser: Any, viewer: Served, slide_id: str, *, scheme: str = "light") -> Iterator[Any]:
    with opened(browser, viewer, f"slide/{slide_id}/", scheme=scheme) as page:
        page.wait_for_selector("body[data-ready=all]")
        page.wait_for_function("() => wsipipe.viewer.world.getItemAt(0).getFullyLoaded()")
        yield page


def seen(page: Any) -> bytes:
    """What the slide's part of the window shows, once nothing moves."""
    page.wait_for_function("() => wsipipe.viewer.world.getItemAt(0).getFullyLoaded()")
    page.wait_for_timeout(400)
    shot: bytes = page.screenshot(clip={"x": 0, "y": 60, "width": 700, "height": 700})
    return shot


def zoom(page: Any) -> float:
    page.wait_for_timeout(700)
    value: float = page.evaluate("() => wsipipe.viewer.viewport.getZoom(true)")
    return value


def test_from_the_list_to_a_slide(browser: Any, viewer: Served, made_id: str) -> None:
    with opened(browser, viewer, "") as page:
        page.wait_for_selector("#rows tr")
        assert page.locator("#rows tr").count() == 7
        assert page.locator("#rows b").count() == 0  # names are text, never markup
        page.click(f"#rows a:has-text('{made_id}')")
        page.wait_for_selector("body[data-ready=all]")
        assert page.inner_text("#name") == made_id
        assert page.inner_text("#category").lower() == "invasive"
        assert "clinical" in page.inner_text("#notice").lower()


def test_pans_and_zooms_by_mouse_and_keys(browser: Any, viewer: Served, made_id: str) -> None:
    with slide_page(browser, viewer, made_id) as page:
        whole, first = zoom(page), seen(page)
        page.mouse.move(350, 400)
        page.mouse.wheel(0, -600)
        closer = zoom(page)
        assert closer > 1.1 * whole
        assert seen(page) != first
        before = page.evaluate("() => wsipipe.viewer.viewport.getCenter(true).x")
        page.mouse.down()
        page.mouse.move(150, 400, steps=5)
        page.mouse.up()
        page.wait_for_timeout(700)
        dragged = page.evaluate("() => wsipipe.viewer.viewport.getCenter(true).x")
        assert dragged > before
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(700)
        assert page.evaluate("() => wsipipe.viewer.viewport.getCenter(true).x") > dragged
        page.keyboard.press("+")
        assert zoom(page) > closer
        page.keyboard.press("0")
        assert zoom(page) == pytest.approx(whole, rel=0.01)


def test_each_layer_changes_what_is_seen(browser: Any, viewer: Served, made_id: str) -> None:
    with slide_page(browser, viewer, made_id) as page:
        shown = seen(page)
        for key, name in zip("1234", ("probability", "regions", "tiles", "tissue"), strict=True):
            was = page.is_checked(f"#layer-{name}")
            page.click(f"#layer-{name}") if key in "13" else page.keyboard.press(key)
            assert page.is_checked(f"#layer-{name}") is not was
            now = seen(page)
            assert now != shown, name
            shown = now


def test_a_click_on_a_tile_shows_its_row(browser: Any, viewer: Served, made_id: str) -> None:
    with slide_page(browser, viewer, made_id) as page:
        place = page.evaluate(
            """() => {
                const { viewer, tiles, facts } = wsipipe;
                const [x, y] = [tiles.x[4] + tiles.width[4] / 2, tiles.y[4] + tiles.height[4] / 2];
                const at = viewer.viewport.pixelFromPoint(new OpenSeadragon.Point(x / facts.width, y / facts.width));
                const box = viewer.element.getBoundingClientRect();
                return { x: box.x + at.x, y: box.y + at.y, id: tiles.id[4] };
            }"""
        )
        page.mouse.click(place["x"], place["y"])
        page.wait_for_selector("#tile div")
        row = dict(
            zip(page.locator("#tile dt").all_inner_texts(), page.locator("#tile dd").all_inner_texts(), strict=True)
        )
        assert int(row["tile_id"].replace(",", "")) == place["id"]
        assert {"x", "y", "p_invasive", "rank"} <= row.keys()
        page.keyboard.press("Escape")
        page.wait_for_selector("#tile div", state="detached")


def test_a_slide_that_is_not_at_hand_says_so(browser: Any, viewer: Served) -> None:
    with slide_page(browser, viewer, "gone-1") as page:
        assert "--slides" in page.inner_text("#said")
        place = page.evaluate("() => [0, 1].map((at) => wsipipe.viewer.world.getItemAt(at).getBounds().width)")
        width = 2305  # both pictures lie on the slide, whose width is one
        assert place == pytest.approx([-(-width // 8) * 8 / width, -(-width // 4) * 4 / width])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, viewer: Served, made_id: str, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    for path in ("", f"slide/{made_id}/"):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme, bypass_csp=True)
        page = context.new_page()  # axe is a script of its own, which the page's policy rightly refuses
        page.goto(viewer.gate.address + path)
        page.wait_for_selector("body[data-ready=all]" if path else "#rows tr")
        found = [one for one in Axe().run(page).response["violations"] if one["impact"] in SERIOUS]
        assert [(one["id"], one["nodes"][0]["html"][:160]) for one in found] == []
        context.close()
