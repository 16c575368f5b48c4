"""Makes the pictures of README and of the page about the memory browser.

``python -m tests.browser.screenshots [DIRECTORY]``, as ``make screenshots``, of what `tests.browser.people` has.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from openmem import Memory
from openmem.server import OmpServerConfig

from ..server.harness import running
from ..servers import Server
from . import people
from .chromium import launched, missing
from .tabs import Look, Tab, tab

DIRECTORY: Final = Path(__file__).resolve().parents[2] / "docs" / "images"
WIDE: Final = Look(width=1100)
HEIGHT: Final = 720


def _memories(seen: Tab) -> None:
    assert seen.open("/ui/memories?user_id=maya") == 200


def _search(seen: Tab) -> None:
    assert seen.open("/ui/search?user_id=maya&q=which+nuts+is+Maya+allergic+to%3F&limit=3") == 200
    seen.page.locator("ol.results summary").first.click()


def _pictures(seen: Tab) -> None:
    assert seen.open("/ui/pictures?user_id=maya") == 200


PICTURES: Final[tuple[tuple[str, Look, Callable[[Tab], None]], ...]] = (
    ("ui-memories.png", Look(scheme="dark", width=1100), _memories),
    ("ui-search.png", WIDE, _search),
    ("ui-pictures.png", WIDE, _pictures),
)
"""File, look, and how to come to what is shown."""


def make(directory: Path) -> None:
    """Make all pictures."""
    directory.mkdir(exist_ok=True)
    postgres = Server()
    postgres.start()
    try:
        settings: dict[str, Any] = {"url": postgres.create_database(), "embedder": "wordllama"}
        with Memory("postgres", **settings, app="chat") as memory:
            people.fill(memory)
            people.fill_others(memory)
        config = OmpServerConfig(settings=settings, ui=True, loopback_only=True)
        with running(config) as server, launched() as browser:
            for name, look, come in PICTURES:
                with tab(browser, look, server.url) as seen:
                    seen.page.set_viewport_size({"width": look.width, "height": HEIGHT})
                    come(seen)
                    seen.page.wait_for_load_state("networkidle")
                    seen.page.screenshot(path=str(directory / name), scale="css")
                    print(f"{name}: {(directory / name).stat().st_size // 1000} kB", flush=True)
    finally:
        postgres.remove()


def main() -> None:
    reason = missing()
    if reason is not None:
        raise SystemExit(reason)
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else DIRECTORY)


if __name__ == "__main__":
    main()
