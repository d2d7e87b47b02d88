"""A headless Chromium for tests and benchmarks: found on the machine, never downloaded."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
SERIOUS = ("serious", "critical")


def executable() -> str | None:
    """Where a Chromium is, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A running browser; its pages refuse the network."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(browser: Any, path: Path, *, scheme: str = "light") -> Iterator[tuple[Any, list[str]]]:
    """A page of a file in a fresh context, and the list that its errors, console lines and requests outside go to."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme, offline=True)
    page, told = context.new_page(), list[str]()
    page.on("console", lambda message: told.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: told.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (told.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda asked: told.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None)
    try:
        page.goto(path.resolve().as_uri(), wait_until="commit")
        page.wait_for_selector("html[data-ready]", state="attached")
        yield page, told
    finally:
        context.close()


def usable_after(browser: Any, path: Path) -> dict[str, float]:
    """Seconds until the first row is seen, and of one sort and one filter, each until its result is painted."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    start = time.perf_counter()
    page.goto(path.resolve().as_uri(), wait_until="commit")
    page.wait_for_selector("#table tbody tr", state="visible")
    page.wait_for_selector("html[data-ready]", state="attached")
    opened_s = time.perf_counter() - start
    start = time.perf_counter()
    page.click("#table thead button:text('Probability')")
    page.wait_for_selector("th[aria-sort] >> text=Probability")
    page.evaluate("() => new Promise(done => setTimeout(() => requestAnimationFrame(() => done()), 5))")
    sort_s = time.perf_counter() - start
    start = time.perf_counter()
    page.select_option("#category", "invasive")
    page.wait_for_selector("#count:has-text(' of ')")
    filter_s = time.perf_counter() - start
    context.close()
    return {"opened": opened_s, "sorted": sort_s, "filtered": filter_s, "usable": opened_s + sort_s + filter_s}


def findings(page: Any) -> list[str]:
    """Serious and critical findings of axe-core on a page, each with its rule and first element."""
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(page).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {one['nodes'][0]['html'][:120]} {one['nodes'][0]['failureSummary'][:200]}"
        for one in violations
        if one["impact"] in SERIOUS
    ]
