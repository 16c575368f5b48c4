"""What a person sees and does in a tab of the browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from .chromium import TIMEOUT_MILLISECONDS, axe_script

HEIGHT: Final = 900


@dataclass(frozen=True)
class Look:
    """How pages are looked at.

    Attributes:
        scripts: whether the browser runs scripts.
        scheme: ``light`` or ``dark``.
        width: of the window, in pixels.
        zone: the time zone of the reader.
    """

    scripts: bool = True
    scheme: str = "light"
    width: int = 1440
    zone: str = "Europe/Berlin"

    def __str__(self) -> str:
        return f"{'scripts' if self.scripts else 'no-scripts'}-{self.scheme}-{self.width}"


EVERY_LOOK: Final = tuple(
    Look(scripts, scheme, width) for scripts in (True, False) for scheme in ("light", "dark") for width in (1440, 360)
)
SOME_LOOKS: Final = (Look(), Look(False, "dark", 360))
"""Those that are opposites; quick runs try each flow in one of them."""


class Tab:
    """A tab, and what the browser complains of.

    Attributes:
        page: Playwright's page.
        look: how it is looked at.
        complaints: errors on the console and in scripts, and violations of the content security policy.
    """

    def __init__(self, page: Any, look: Look, origin: str) -> None:
        self.page = page
        self.look = look
        self.complaints: list[str] = []
        self._origin = origin
        page.set_default_timeout(TIMEOUT_MILLISECONDS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: Any) -> None:
        # Pages with an error have its status, which Chromium writes there, too.
        is_refusal = re.search(r"responded with a status of 4(00|01|03|09|13)", message.text)
        if message.type in ("error", "warning") and not is_refusal:
            self.complaints.append(f"{message.type}: {message.text}")

    def open(self, path: str) -> int:
        """Go to a page; the status of the answer."""
        response = self.page.goto(self._origin + path)
        assert response is not None
        status: int = response.status
        return status

    def sign_in(self, key: str) -> None:
        """Sign in by the form."""
        self.open("/ui/login")
        self.fill("API key", key)
        self.press("Sign in")

    @property
    def path(self) -> str:
        """Where the tab is, with the query."""
        url: str = self.page.url
        return url.removeprefix(self._origin)

    @property
    def heading(self) -> str:
        """The heading of the page."""
        text: str = self.page.locator("h1").inner_text()
        return text

    @property
    def text(self) -> str:
        """All text that is seen."""
        text: str = self.page.locator("body").inner_text()
        return text

    @property
    def alert(self) -> str:
        """The error that is shown."""
        text: str = self.page.get_by_role("alert").inner_text()
        return text

    def fill(self, label: str, text: str) -> None:
        """Type into a field."""
        self.page.get_by_label(label, exact=True).fill(text)

    def choose(self, label: str, option: str) -> None:
        """Choose from a list by what is shown."""
        self.page.get_by_label(label, exact=True).select_option(label=option)

    def press(self, button: str) -> None:
        """Press a button by its name."""
        self.page.get_by_role("button", name=button, exact=True).first.click()
        self.settle()

    def follow(self, link: str) -> None:
        """Follow a link by its name."""
        self.page.get_by_role("link", name=link).first.click()
        self.settle()

    def settle(self) -> None:
        """Wait until the page is there and nothing is under way."""
        self.page.wait_for_load_state("load")

    def wait_for(self, text: str) -> None:
        """Wait until a text is seen."""
        self.page.get_by_text(text).first.wait_for()

    def barriers(self) -> list[str]:
        """What axe finds on the page, a line for each rule and element. Needs scripts."""
        assert self.look.scripts, "without scripts a page is the same; look at the one with scripts"
        self.page.evaluate(_axe())
        found = self.page.evaluate("axe.run({resultTypes: ['violations']})")
        return [
            f"{violation['id']}: {violation['help']}: {node['html'][:200]}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]

    def scrolls_sideways(self) -> bool:
        """Whether the page is wider than the window."""
        wider: bool = self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        return wider


@cache
def _axe() -> str:
    return axe_script()


@contextmanager
def tab(browser: Any, look: Look, origin: str, **options: Any) -> Iterator[Tab]:
    """A tab of a fresh profile; `options` are those of Playwright's ``new_context``."""
    context = browser.new_context(
        java_script_enabled=look.scripts,
        color_scheme=look.scheme,
        viewport={"width": look.width, "height": HEIGHT},
        timezone_id=look.zone,
        reduced_motion="reduce",
        **options,
    )
    try:
        yield Tab(context.new_page(), look, origin)
    finally:
        context.close()
