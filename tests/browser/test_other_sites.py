"""What a page of another site tries in the browser of somebody who is signed in. Each try is a real one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import quote

import pytest

from .conftest import Site, whole
from .tabs import Look, Tab, tab


class Evil(BaseHTTPRequestHandler):
    """Serves the page of the attacker, and keeps what is sent to it."""

    page: ClassVar[str] = ""
    heard: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.heard.append(f"{self.path} {dict(self.headers)}")
        content = self.page.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def evil() -> Iterator[ThreadingHTTPServer]:
    """Another origin on this machine: ``localhost`` with a port of its own, another site than ``127.0.0.1``."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


# Another site, and another port of the same site: to cookies, the latter is the same.
@pytest.fixture(params=["localhost", pytest.param("127.0.0.1", marks=whole)])
def lair(evil: ThreadingHTTPServer, request: pytest.FixtureRequest) -> str:
    """The address of the attacker's page."""
    return f"http://{request.param}:{evil.server_address[1]}/"


def visit(seen: Tab, lair: str, page: str) -> None:
    """Lure the person to a page of the attacker."""
    Evil.page = f"<!doctype html><title>evil</title>{page}"
    seen.page.goto(lair)
    seen.settle()


def test_forms_are_refused(site: Site, lair: str, user: str) -> None:
    ids = [record.id for record in site.memory.iterate(user)]
    forms = {
        "memories": {"user_id": user, "ids": ids[0], "action": "delete", "confirmed": "yes"},
        "edit": {"id": ids[0], "user_id": user, "content": "taken", "action": "save"},
        "keys": {"app": "taken"},
        "keys/revoke": {"id": site.key.split("_")[1]},
        "status": {"action": "reindex"},
        "export": {"user_id": user},
        "login": {"key": "x"},
        "logout": {},
    }
    before = site.keys.read()
    with tab(site.browser, Look(), site.url) as seen:
        seen.sign_in(site.key)
        for path, fields in forms.items():
            for media_type in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
                inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
                visit(
                    seen,
                    lair,
                    f'<form method="post" action="{site.url}/ui/{path}" enctype="{media_type}">{inputs}'
                    "<button>You have won</button></form>",
                )
                with seen.page.expect_navigation() as sent:
                    seen.page.get_by_role("button").click()
                assert sent.value.status == 403, (path, media_type)
        seen.open("/ui/users")
        assert seen.heading == "Users", "the person is still signed in"
    assert site.keys.read() == before
    assert [record.id for record in site.memory.iterate(user)] == ids
    assert all(record.content != "taken" for record in site.memory.iterate(user))


def test_pages_cannot_be_framed(site: Site, lair: str) -> None:
    with tab(site.browser, Look(), site.url) as seen:
        seen.sign_in(site.key)
        visit(seen, lair, f'<iframe src="{site.url}/ui/memories?user_id=maya" width="900" height="700"></iframe>')
        seen.page.wait_for_load_state("networkidle")
        for frame in seen.page.frames[1:]:
            assert "vegan" not in frame.content()
            assert not frame.url.startswith(site.url) or "openmem" not in frame.title()
        visit(seen, lair, f'<object data="{site.url}/ui/users"></object><embed src="{site.url}/ui/users">')
        seen.page.wait_for_load_state("networkidle")
        assert all("Sign out" not in frame.content() for frame in seen.page.frames)


@whole
def test_pages_cannot_be_read(site: Site, lair: str) -> None:
    address = f"{site.url}/ui/memories?user_id=maya"
    with tab(site.browser, Look(), site.url) as seen:
        seen.sign_in(site.key)
        visit(seen, lair, "")
        for options in ("{credentials: 'include'}", "{credentials: 'include', mode: 'no-cors'}"):
            read = seen.page.evaluate(
                f"fetch({address!r}, {options}).then(r => r.text()).catch(e => 'refused: ' + e.message)"
            )
            assert "vegan" not in read
            assert read == "" or read.startswith("refused")
        sent = seen.page.evaluate(
            f"fetch({site.url + '/ui/memories'!r}, {{method: 'POST', credentials: 'include', mode: 'no-cors',"
            " body: new URLSearchParams({user_id: 'maya'})}).then(r => r.status).catch(e => 'refused')"
        )
        assert sent in (0, "refused")
        opened = seen.page.evaluate(
            f"(() => {{ const w = window.open({address!r}); if (!w) return 'no window';"
            " try { return w.document.body.innerText } catch (e) { return 'refused' } })()"
        )
        assert "vegan" not in opened


@whole
def test_a_session_cannot_be_stolen(site: Site) -> None:
    with tab(site.browser, Look(), site.url) as seen:
        seen.sign_in(site.key)
        seen.open("/ui/memories?user_id=maya")
        assert "omp_ui" not in seen.page.evaluate("document.cookie")
        [cookie] = [cookie for cookie in seen.page.context.cookies() if cookie["name"].startswith("omp_ui")]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        assert cookie["path"] == "/ui"
        assert site.key not in str(seen.page.context.storage_state())
        assert site.key not in seen.page.content()
        seen.press("Sign out")
        # A cookie that was copied before is of no use any more.
        seen.page.context.add_cookies([cookie])
        seen.open("/ui/memories?user_id=maya")
        assert seen.heading == "Sign in"


@whole
def test_a_chosen_session_is_not_taken_over(site: Site) -> None:
    with tab(site.browser, Look(), site.url) as seen:
        name = f"omp_ui_{site.url.rpartition(':')[2]}"
        chosen = {"name": name, "value": "chosen", "domain": "127.0.0.1", "path": "/ui"}
        seen.page.context.add_cookies([chosen])
        seen.sign_in(site.key)
        values = [cookie["value"] for cookie in seen.page.context.cookies() if cookie["name"].startswith("omp_ui")]
        assert "chosen" not in values


@whole
def test_addresses_do_not_leak(site: Site, evil: ThreadingHTTPServer) -> None:
    """A link in a memory, copied and followed, tells the other site nothing of the page it stood on."""
    Evil.page, there = "", f"http://localhost:{evil.server_address[1]}/from"
    with tab(site.browser, Look(), site.url) as seen:
        seen.sign_in(site.key)
        seen.open("/ui/memories?user_id=maya")
        seen.page.evaluate(f"location.href = {there!r}")
        seen.page.wait_for_url("**/from")
    [heard] = [line for line in Evil.heard if line.startswith("/from")]
    assert "Referer" not in heard
    assert "maya" not in heard


@whole
@pytest.mark.parametrize(
    "path",
    [
        "/ui/../healthz", "/ui/%2e%2e/users", "/ui/..%2fusers", "/ui//evil.example/", "/ui/login?next=//evil.example",
        "/ui/login?next=https%3A%2F%2Fevil.example", "/ui/login?next=%2Fui%2F..%2F..%2F%2Fevil.example",
        "/ui/static/../sessions.py", "/ui/static/%2e%2e%2fsessions.py", "/ui/users%00", "/ui/users;x", "/UI/users",
    ],
)  # fmt: skip
def test_path_tricks_lead_nowhere(site: Site, path: str) -> None:
    with tab(site.browser, Look(), site.url) as seen:
        seen.sign_in(site.key)
        if "next=" in path:
            seen.press("Sign out")
        seen.open(path)
        assert seen.page.url.startswith(site.url)
        assert "import annotations" not in seen.page.content()
        if "next=" in path:
            seen.fill("API key", site.key)
            seen.press("Sign in")
            assert seen.page.url.startswith(f"{site.url}/ui/")


def test_a_page_that_was_left_open_shows_nothing_after_its_key_ended(site: Site, user: str) -> None:
    key = site.keys.create(app="left open", users=[user])
    with tab(site.browser, Look(), site.url) as seen:
        seen.sign_in(key)
        seen.page.get_by_label("Tick memory 1", exact=True).check()
        site.keys.revoke(key.split("_")[1])
        seen.press("Forget")
        assert seen.heading == "Sign in"
        assert seen.open(f"/ui/memories?user_id={quote(user)}") == 200
        assert seen.heading == "Sign in"
    assert len(list(site.memory.iterate(user, as_of=None))) == 18


@whole
def test_typing_into_a_search_after_the_key_ended_leads_to_the_sign_in(site: Site) -> None:
    key = site.keys.create(app="left open")
    with tab(site.browser, Look(), site.url) as seen:
        seen.sign_in(key)
        site.keys.revoke(key.split("_")[1])
        seen.page.get_by_label("Find a user").press_sequentially("m")
        seen.page.wait_for_url("**/ui/login**")
