"""What people come for, done as they do it: with and without scripts, light and dark, wide and narrow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from openmem import Memory, transfer
from openmem.server import OmpServerConfig

from ..server.harness import running
from ..servers import Server
from .conftest import Site
from .tabs import Look, Tab, tab


def open_memories(seen: Tab, user: str) -> None:
    assert seen.open(f"/ui/memories?user_id={quote(user)}") == 200


def open_memory(seen: Tab, user: str, content: str) -> None:
    """From the list to one memory, by the link that a person would follow."""
    open_memories(seen, user)
    card = seen.page.locator("li.memory", has=seen.page.get_by_text(content, exact=True))
    card.get_by_role("link").click()
    seen.settle()
    assert seen.heading == "Memory"


def test_signing_in_and_out(site: Site, look: Look) -> None:
    with tab(site.browser, look, site.url) as seen:
        seen.open("/ui/memories?user_id=noor")
        assert seen.heading == "Sign in"
        seen.fill("API key", "omk_wrong")
        seen.press("Sign in")
        assert "not known" in seen.alert
        seen.open("/ui/memories?user_id=noor")
        seen.fill("API key", site.key)
        seen.press("Sign in")
        assert "night train" in seen.text
        seen.press("Sign out")
        assert seen.heading == "Sign in"
        seen.page.go_back()
        seen.settle()
        assert "night train" not in seen.text


def test_finding_a_user(site: Site, look: Look) -> None:
    with site.tab(look) as seen:
        assert seen.heading == "Users"
        seen.page.get_by_label("Find a user").press_sequentially("no")
        if not look.scripts:
            seen.press("Find")
        names = seen.page.locator("tbody th")
        seen.page.locator("tbody tr").nth(1).wait_for(state="detached")
        assert names.all_inner_texts() == ["noor"]
        seen.follow("noor")
        assert seen.heading == "Memories"
        assert "Noor takes the night train" in seen.text


def test_filtering_memories(site: Site, look: Look, user: str) -> None:
    with site.tab(look) as seen:
        open_memories(seen, user)
        assert seen.page.locator("li.memory").count() == 18
        seen.page.get_by_text("Filter", exact=True).click()
        seen.fill("Scope", "leisure/**")
        seen.fill("Tag", "music")
        seen.press("Show")
        assert seen.page.locator("li.memory").count() == 2
        seen.follow("Show all")
        seen.page.get_by_text("Filter", exact=True).click()
        seen.choose("Valid", "Now")
        seen.press("Show")
        assert seen.page.locator("li.memory").count() == 17
        assert "not valid now" not in seen.text


def test_the_next_page_of_a_list(site: Site, look: Look, user: str) -> None:
    site.memory.add_many([{"content": f"note {number}", "user_id": user} for number in range(50)])
    with site.tab(look) as seen:
        open_memories(seen, user)
        texts = seen.page.locator("li.memory .text").all_text_contents()
        is_painted = "one => one.firstElementChild.checkVisibility({contentVisibilityAuto: true})"
        assert seen.page.locator("li.memory").first.evaluate(is_painted)
        assert not seen.page.locator("li.memory").last.evaluate(is_painted)
        seen.follow("Next page")
        texts += seen.page.locator("li.memory .text").all_text_contents()
        assert len(texts) == len(set(texts)) == 68
        seen.follow("First page")
        assert seen.page.locator("li.memory").count() == 50


def test_from_the_overview_to_a_scope(site: Site, look: Look, user: str) -> None:
    with site.tab(look) as seen:
        open_memories(seen, user)
        seen.follow("Overview")
        seen.page.get_by_role("link", name="home").click()
        seen.settle()
        assert seen.page.locator("li.memory").count() == 2
        assert "Leipzig" in seen.text


def test_searching_and_why_it_was_found(site: Site, look: Look, user: str) -> None:
    with site.tab(look) as seen:
        open_memories(seen, user)
        seen.follow("Search")
        seen.fill("Query", "which nuts is Maya allergic to?")
        seen.press("Search")
        first = seen.page.locator("ol.results > li").first
        assert "walnuts" in first.inner_text()
        first.locator("summary").click()
        assert "allerg" in first.locator("dl").inner_text()
        assert "walnuts" in seen.page.get_by_label("Prompt").last.inner_text()
        first.get_by_role("link").first.click()
        seen.settle()
        assert seen.heading == "Memory"


def test_adding_a_memory(site: Site, look: Look, user: str) -> None:
    with site.tab(look) as seen:
        open_memories(seen, user)
        seen.follow("Add a memory")
        seen.fill("Text", "Maya is afraid of moths")
        seen.fill("Scope", "fears")
        seen.fill("New tag", "animals")
        seen.fill("Metadata, as a JSON object", "{moths}")
        seen.press("Add")
        assert "metadata" in seen.alert
        seen.fill("Metadata, as a JSON object", '{"since": 2019}')
        seen.press("Add")
        assert "The memory is stored." in seen.text
        [found] = [record for record in site.memory.iterate(user) if "moths" in record.content]
        assert (found.scope, found.tags, found.metadata) == ("fears", ["animals"], {"since": 2019})


def test_correcting_a_memory(site: Site, look: Look, user: str) -> None:
    with site.tab(look) as seen:
        open_memory(seen, user, "Maya moved to Leipzig in June")
        seen.follow("Edit")
        seen.fill("Text", "Maya moved to Dresden in June")
        seen.fill("Confidence, 0 to 1", "2")
        seen.press("Save")
        if seen.heading == "Edit":  # The browser may refuse the number before the server does.
            seen.fill("Confidence, 0 to 1", "0.5")
            seen.press("Save")
        assert "The memory is saved." in seen.text
        [found] = [record for record in site.memory.iterate(user) if "Dresden" in record.content]
        assert (found.confidence, found.version, found.scope) == (0.5, 2, "home")
        assert site.memory.audit(user, app="omp-server ui: owner")


def test_replacing_a_memory_and_its_history(site: Site, look: Look, user: str) -> None:
    with site.tab(look) as seen:
        open_memory(seen, user, "Maya drinks her coffee with oat milk")
        seen.follow("Edit")
        seen.fill("Text", "Maya has stopped drinking coffee")
        seen.press("Replace, and keep the old one")
        timeline = seen.page.locator("ol.timeline > li")
        assert timeline.count() == 2
        assert "oat milk" in timeline.nth(0).inner_text()
        assert "valid until" in timeline.nth(0).inner_text()
        timeline.nth(0).get_by_role("link").click()
        seen.settle()
        assert "not valid now" in seen.text


def test_a_change_by_somebody_else_is_not_overwritten(site: Site, look: Look, user: str) -> None:
    with site.tab(look) as seen:
        open_memory(seen, user, "She prefers trains to planes")
        seen.follow("Edit")
        id = re.findall(r"id=(mem_[^&]+)", seen.path)[0]
        site.memory.update(id, content="She prefers ships")
        seen.fill("Text", "She prefers bicycles")
        seen.press("Save")
        assert "version" in seen.alert
        assert seen.page.get_by_label("Text", exact=True).input_value() == "She prefers bicycles"
        assert site.memory.get(id).content == "She prefers ships"


def test_forgetting_and_restoring(site: Site, look: Look, user: str) -> None:
    with site.tab(look) as seen:
        open_memories(seen, user)
        seen.page.get_by_label("Tick memory 3", exact=True).check()
        seen.page.get_by_label("Tick memory 4", exact=True).check()
        seen.press("Forget")
        assert "2 memories are forgotten" in seen.text
        assert seen.page.get_by_text("not valid now", exact=True).count() == 3
        assert site.memory.count(user) == 18
        seen.page.get_by_label("Tick memory 3", exact=True).check()
        seen.press("Restore")
        assert "1 memory is valid again." in seen.text
        seen.press("Forget")
        assert "no memory is ticked" in seen.alert


def test_deleting_for_good_after_a_question(site: Site, look: Look, user: str) -> None:
    with site.tab(look) as seen:
        open_memory(seen, user, "Her sister Lena lives in Hamburg")
        seen.press("Delete…")
        assert seen.heading == "Delete for good?"
        seen.follow("Cancel")
        assert seen.heading == "Memory"
        seen.press("Delete…")
        seen.press("Delete for good")
        assert "Lena" not in seen.text
        assert not [record for record in site.memory.iterate(user) if "Lena" in record.content]


def test_exporting_and_importing(site: Site, look: Look, user: str, tmp_path: Path) -> None:
    with site.tab(look, accept_downloads=True) as seen:
        seen.follow("Import and export")
        form = seen.page.get_by_role("form", name="Export")
        form.get_by_label("Whose memories").fill(user)
        with seen.page.expect_download() as waited:
            form.get_by_role("button", name="Export").click()
        file = tmp_path / waited.value.suggested_filename
        waited.value.save_as(file)
        assert transfer.import_(site.memory, "omp", file, transfer.ImportSettings(dry_run=True)).equal == 18
        site.memory.forget_user(user)
        seen.page.get_by_label("File", exact=True).set_input_files(str(file))
        seen.press("Import")
        wait_for_end(seen)
        assert "18 read, 18 would be written" in seen.text
        seen.press("Store 18 memories")
        wait_for_end(seen)
        assert "18 read, 18 written" in seen.text
        assert site.memory.count(user) == 18


def wait_for_end(seen: Tab) -> None:
    """Wait for the report of an import; without scripts, by the link that is there for it."""
    if not seen.look.scripts:
        while seen.page.get_by_role("link", name="Show how far it is").count():
            seen.follow("Show how far it is")
    seen.page.locator("ul.report").wait_for()


def test_a_key_is_made_used_and_revoked(site: Site, look: Look, user: str) -> None:
    with site.tab(look) as owner, tab(site.browser, look, site.url) as guest:
        owner.follow("Keys")
        owner.fill("Application that will use it", f"for {look}")
        owner.fill("Users it may act for, one a line", user)
        owner.fill("What it may do, one grant a line", "read:*")
        owner.press("Make the key")
        key = owner.page.get_by_label("API key").input_value()
        guest.sign_in(key)
        assert guest.heading == "Memories"
        assert not guest.page.get_by_role("button", name="Forget").count()
        assert guest.open("/ui/memories?user_id=noor") == 403
        assert "night train" not in guest.text
        owner.follow("All keys")
        assert key not in owner.page.content()
        owner.page.locator("tr", has_text=f"for {look}").get_by_role("link").click()
        owner.press("Revoke")
        assert "The key is revoked." in owner.text
        guest.follow("Users")
        assert guest.heading == "Sign in"


def test_embedding_again(browser: Any, server: Server, look: Look) -> None:
    url = server.create_database()
    with Memory(url=url, embedder="hashing") as memory:
        memory.add_many([{"content": f"memory {number}", "user_id": "u"} for number in range(300)])
    config = OmpServerConfig(settings={"url": url, "embedder": "wordllama"}, ui=True, loopback_only=True)
    with running(config) as running_server, tab(browser, look, running_server.url) as seen:
        seen.open("/ui/status")
        assert "300 memories were embedded by another model" in seen.text
        seen.press("Embed again")
        if not look.scripts:
            while seen.page.get_by_role("link", name="Show how far it is").count():
                seen.follow("Show how far it is")
        seen.wait_for("All memories are embedded by this model.")
        assert seen.complaints == []
