"""That nobody is kept out: every page by axe, by keyboard alone, magnified, and on a narrow screen."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import quote

import pytest

from openmem.ui.routes import PAGES

from .conftest import Site, whole
from .tabs import Look, Tab, tab

ADDRESSES = {
    "users": "/ui/users",
    "memories": "/ui/memories?user_id=maya",
    "facets": "/ui/facets?user_id=maya",
    "search": "/ui/search?user_id=maya&q=what+does+Maya+eat",
    "audit": "/ui/audit?user_id=maya",
    "pictures": "/ui/pictures?user_id=maya",
    "timeline": "/ui/timeline?user_id=maya",
    "map": "/ui/map?user_id=maya",
    "transfer": "/ui/transfer",
    "keys": "/ui/keys",
    "status": "/ui/status",
}
"""Where there is something to see on a page."""


PATHS = [page.path for page in PAGES if page.get is not None and not page.path.endswith("/job")]
"""Every page that can be opened by its address."""
QUICK = ("memories", "memory", "search", "transfer")
"""Those that every run looks at."""


def address_of(site: Site, path: str) -> str:
    """The address of a page with something on it."""
    id = next(iter(site.memory.iterate("maya"))).id
    special = {"keys/revoke": f"/ui/keys/revoke?id={site.key.split('_')[1]}"}
    return {**ADDRESSES, **special}.get(path, f"/ui/{path}?user_id=maya&id={id}")


def open_all(seen: Tab) -> None:
    """Open what is folded."""
    for summary in seen.page.locator("summary").all():
        if summary.is_visible():
            summary.click()


@pytest.mark.parametrize(
    "path", [path if path in QUICK else pytest.param(path, marks=whole) for path in [*PATHS, "nothing"]]
)
def test_every_page(site: Site, seen: Look, path: str) -> None:
    with site.tab(seen) as found:
        assert found.open(address_of(site, path)) == (404 if path == "nothing" else 200)
        open_all(found)
        found.page.locator(".htmx-request").first.wait_for(state="detached")
        assert found.barriers() == []
        assert not found.scrolls_sideways()
        found.complaints = [text for text in found.complaints if "404" not in text]


def test_the_form_for_the_key(site: Site, seen: Look) -> None:
    with tab(site.browser, seen, site.url) as found:
        found.open("/ui/login")
        assert found.barriers() == []


@whole
def test_pages_that_answer_forms(site: Site, seen: Look, user: str) -> None:
    found = []
    with site.tab(seen) as there:
        there.open(f"/ui/memories?user_id={quote(user)}")
        there.page.get_by_label("Tick all on this page").check()
        there.press("Delete…")
        found += there.barriers()
        there.press("Forget instead")
        found += there.barriers()
        there.open("/ui/keys")
        there.fill("Application that will use it", "barriers")
        there.fill("Ends", "soon")
        there.press("Make the key")
        assert there.alert
        found += there.barriers()
        there.fill("Ends", "1d")
        there.press("Make the key")
        found += there.barriers()
        there.open("/ui/transfer")
        text = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"- Maya likes figs\n\n"}
        there.page.get_by_label("File", exact=True).set_input_files([text])
        there.page.get_by_label("Format", exact=True).select_option("text")
        there.fill("User, for records that name none", user)
        there.press("Import")
        there.page.locator("ul.report").wait_for()
        found += there.barriers()
    assert found == []


def focused(seen: Tab) -> Any:
    """What has the focus: its tag and its text."""
    return seen.page.evaluate(
        "(() => { const e = document.activeElement;"
        " return [e.tagName, (e.innerText || e.value || '').trim(), e.getBoundingClientRect().height > 0]; })()"
    )


def walk(seen: Tab, text: str) -> None:
    """Press Tab until what has the focus shows a text."""
    for _ in itertools.repeat(None, 80):
        seen.page.keyboard.press("Tab")
        tag, shown, is_seen = focused(seen)
        assert is_seen, (tag, shown)
        if shown == text:
            return
    raise AssertionError(f"the keyboard does not reach {text!r}")


@pytest.mark.parametrize("scripts", [True, False])
def test_by_keyboard_alone(site: Site, user: str, scripts: bool) -> None:
    with site.tab(Look()) if scripts else site.tab(Look(scripts=False)) as seen:
        seen.page.keyboard.press("Tab")
        if scripts:
            assert focused(seen)[1] == "Skip to the content"
        seen.page.get_by_label("Find a user").focus()
        seen.page.keyboard.type(user)
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_url("**/memories?**")
        seen.page.get_by_label("Tick memory 3", exact=True).focus()
        seen.page.keyboard.press("Space")
        if scripts:
            walk(seen, "Forget")
        else:
            seen.page.get_by_role("button", name="Forget", exact=True).focus()
        seen.page.keyboard.press("Enter")
        seen.wait_for("1 memory is forgotten")


@whole
def test_the_focus_can_be_seen(site: Site, seen: Look) -> None:
    with site.tab(seen) as there:
        there.open("/ui/memories?user_id=maya")
        for _ in range(12):
            there.page.keyboard.press("Tab")
            style = there.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert style != "none", focused(there)


@whole
def test_magnified_to_twice_the_size(site: Site) -> None:
    """At 200 % a window of 1,280 pixels has the room of 640, at 400 % of 320."""
    for width in (640, 320):
        with site.tab(Look(width=width)) as narrow:
            for path in PATHS:
                narrow.open(address_of(site, path))
                assert not narrow.scrolls_sideways(), (path, width)


@whole
def test_times_are_in_the_zone_of_the_reader(site: Site, user: str) -> None:
    record = next(iter(site.memory.iterate(user)))
    hours = set()
    for zone in ("Asia/Tokyo", "America/New_York"):
        with site.tab(Look(zone=zone)) as there:
            there.open(f"/ui/memory?id={record.id}&user_id={quote(user)}")
            assert f"Times are in {zone}." in there.text
            hours.add(there.page.locator("dd time").first.inner_text())
    assert len(hours) == 2
