"""That nobody is kept out: every page by axe, by keyboard alone, magnified, and on a narrow screen."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from openmem.ui.routes import PAGES

from .conftest import Site, whole
from .tabs import Look, Tab

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


def addresses(site: Site) -> Iterator[str]:
    """Every page that can be opened by its address."""
    id = next(iter(site.memory.iterate("maya"))).id
    key = site.key.split("_")[1]
    special = {
        "memory": f"/ui/memory?id={id}&user_id=maya",
        "edit": f"/ui/edit?id={id}&user_id=maya",
        "keys/revoke": f"/ui/keys/revoke?id={key}",
    }
    for page in PAGES:
        if page.get is not None and not page.path.endswith("/job"):
            yield {**ADDRESSES, **special}.get(page.path, f"/ui/{page.path}?user_id=maya&id={id}")


def open_all(seen: Tab) -> None:
    """Open what is folded."""
    for summary in seen.page.locator("summary").all():
        if summary.is_visible():
            summary.click()


def test_every_page(site: Site, seen: Look) -> None:
    found = []
    with site.tab(seen) as tab:
        for address in addresses(site):
            assert tab.open(address) == 200, address
            tab.page.wait_for_load_state("networkidle")
            open_all(tab)
            found += [f"{address}: {barrier}" for barrier in tab.barriers()]
            found += [f"{address}: it scrolls sideways"] * tab.scrolls_sideways()
        assert tab.open("/ui/nothing") == 404
        found += tab.barriers()
        tab.complaints.clear()
        tab.open("/ui/login")
        found += tab.barriers()
    assert found == []


@whole
def test_pages_that_answer_forms(site: Site, seen: Look, user: str) -> None:
    found = []
    with site.tab(seen) as tab:
        tab.open(f"/ui/memories?user_id={quote(user)}")
        tab.page.get_by_label("Tick all on this page").check()
        tab.press("Delete…")
        found += tab.barriers()
        tab.press("Forget instead")
        found += tab.barriers()
        tab.open("/ui/keys")
        tab.fill("Application that will use it", "barriers")
        tab.fill("Ends", "soon")
        tab.press("Make the key")
        assert tab.alert
        found += tab.barriers()
        tab.fill("Ends", "1d")
        tab.press("Make the key")
        found += tab.barriers()
        tab.open("/ui/transfer")
        text = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"- Maya likes figs\n\n"}
        tab.page.get_by_label("File", exact=True).set_input_files([text])
        tab.page.get_by_label("Format", exact=True).select_option("text")
        tab.fill("User, for records that name none", user)
        tab.press("Import")
        tab.page.locator("ul.report").wait_for()
        found += tab.barriers()
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
        seen.page.get_by_label("Open a user").focus()
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
    with site.tab(seen) as tab:
        tab.open("/ui/memories?user_id=maya")
        for _ in range(12):
            tab.page.keyboard.press("Tab")
            style = tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert style != "none", focused(tab)


@whole
def test_magnified_to_twice_the_size(site: Site) -> None:
    """At 200 % a window of 1,280 pixels has the room of 640, at 400 % of 320."""
    for width in (640, 320):
        with site.tab(Look(width=width)) as tab:
            for address in addresses(site):
                tab.open(address)
                assert not tab.scrolls_sideways(), (address, width)


@whole
def test_times_are_in_the_zone_of_the_reader(site: Site, user: str) -> None:
    record = next(iter(site.memory.iterate(user)))
    hours = set()
    for zone in ("Asia/Tokyo", "America/New_York"):
        with site.tab(Look(zone=zone)) as tab:
            tab.open(f"/ui/memory?id={record.id}&user_id={quote(user)}")
            assert f"Times are in {zone}." in tab.text
            hours.add(tab.page.locator("dd time").first.inner_text())
    assert len(hours) == 2
