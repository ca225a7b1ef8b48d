"""Chromium at a console, as a person's browser: nothing but loopback, no error, no barrier.

`make browser` installs what drives it; the browser is the system's. A test that needs it is skipped
where it is not.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

SCREENSHOTS = "SAMETOKEN_SCREENSHOTS"
_AXE = Path(__file__).parents[2] / "build/axe/node_modules/axe-core/axe.min.js"
# Checked before it is run: the file was looked at when it was pinned.
_AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
# Let it ask nobody for anything, on a machine without a screen.
_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
# Reached only where something hangs.
_PATIENCE_MS = 8_000
WIDE, PHONE = {"width": 1120, "height": 700}, {"width": 375, "height": 720}


class Person:
    """A person at a page. At the end of a test nothing may have gone wrong in the browser."""

    def __init__(self, page: Any, url: str, wrongs: list[str]) -> None:
        self.page = page
        self.url = url
        self.wrongs = wrongs

    def go(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}")

    def click(self, name: str, role: str = "button") -> None:
        self.page.get_by_role(role, name=name, exact=True).click()

    def write(self, label: str, text: str) -> None:
        self.page.get_by_role("textbox", name=label, exact=True).fill(text)

    def sees(self, text: str) -> None:
        """Wait for a text of the page's main part."""
        self.page.locator("main").get_by_text(text).first.wait_for()

    def says(self) -> str:
        return str(self.page.locator("main").inner_text())

    def meets_no_barrier(self, *rules: str) -> None:
        """Have axe judge the page as it is: by these rules, or by all that are no experiments."""
        self.page.evaluate(_axe())
        options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
        found = self.page.evaluate("(options) => axe.run(document, options)", options)
        told = [
            f"{one['id']}: {one['help']} ({', '.join(node['html'][:80] for node in one['nodes'])})"
            for one in found["violations"]
        ]
        assert not told, "\n".join([self.page.url, *told])

    def is_whole_at(self, width: int) -> None:
        """Look that nothing of the page stands out of a screen of that width."""
        self.page.set_viewport_size({"width": width, "height": 720})
        over = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert over <= 0, f"{self.page.url} is {over} pixels too wide for {width}"

    def take_pictures(self, name: str) -> None:
        """Take a picture in each colour scheme, and at a phone's width; judge the page."""
        self.meets_no_barrier()
        self._take(f"{name}-light")
        self.page.emulate_media(color_scheme="dark")
        self.meets_no_barrier("color-contrast")
        self._take(f"{name}-dark")
        self.is_whole_at(320)
        self.page.set_viewport_size(PHONE)
        self._take(f"{name}-phone")
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size(WIDE)

    def _take(self, name: str) -> None:
        folder = os.environ.get(SCREENSHOTS)
        if folder:
            self.page.screenshot(path=Path(folder, f"{name}.png"), full_page=False)


def _axe() -> str:
    if not _AXE.is_file():
        pytest.skip("needs axe, which judges pages: `make browser` fetches it")
    raw = _AXE.read_bytes()
    assert hashlib.sha256(raw).hexdigest() == _AXE_SHA256, "axe is not the one that was looked at"
    return raw.decode()


@contextmanager
def chromium() -> Iterator[Any]:
    """Run the system's Chromium for the block."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs Chromium on the path")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        pytest.skip("needs what drives a browser: `make browser` installs it")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def person_at(browser: Any, url: str, **options: Any) -> Iterator[Person]:
    """Give a person the browser for the block, without anybody's cookies.

    `options` are those of Playwright's `new_context`.
    """
    wrongs: list[str] = []
    context = browser.new_context(viewport=WIDE, **options)
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)

    def hear(said: Any) -> None:
        if said.type in ("error", "warning"):
            wrongs.append(said.text)

    def watch(request: Any) -> None:
        if not _is_here(request.url):
            wrongs.append(f"asked {request.url}")

    page.on("console", hear)
    page.on("pageerror", lambda error: wrongs.append(str(error)))
    page.on("request", watch)
    try:
        yield Person(page, url, wrongs)
    finally:
        context.close()
    assert not wrongs, wrongs


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname == "127.0.0.1" or url.startswith(("data:", "blob:", "about:"))
