"""Who may see the pages: keys, sessions, other sites, other machines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from openmem import InvalidRequestError, Memory
from openmem.server import OmpServerConfig
from openmem.server.errors import KeyRefusedError
from openmem.server.keys import KeyRing, KeysFile
from openmem.ui import opening_path
from openmem.ui.sessions import IDLE_SECONDS, MAX_SESSIONS_OF_KEY, Sessions

from ..server.harness import Running, running
from .pages import parsed, post, sign_in

SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def visitor(keyed_server: Running) -> Iterator[httpx.Client]:
    with keyed_server.client(headers=SAME) as client:
        yield client


def session_in(visitor: httpx.Client) -> str:
    """The cookie of the only session that a client has, as a header."""
    [(name, token)] = visitor.cookies.items()
    return f"{name}={token}"


def test_pages_lead_to_the_key_and_back(visitor: httpx.Client, keys: KeysFile, memory: Memory) -> None:
    memory.add(content="Maya is vegan", user_id="signs in")
    asked = visitor.get("/ui/memories?user_id=signs%20in")
    assert asked.status_code == 303
    form = parsed(visitor.get(asked.headers["location"])).one("form", action="/ui/login")
    destination = form.one("input", name="next").attributes["value"]
    assert destination == "/ui/memories?user_id=signs%20in"
    answer = post(visitor, "/ui/login", {"key": keys.create(app="maya's"), "next": destination})
    assert answer.headers["location"] == destination
    cookie = answer.headers["set-cookie"].lower()
    assert {"httponly", "samesite=strict", "path=/ui"} <= set(cookie.split("; "))
    assert "omk_" not in cookie
    page = parsed(visitor.get(destination))
    assert "Maya is vegan" in page.text
    assert memory.audit("signs in", limit=1)[0].app == "omp-server ui: maya's"


def test_a_link_of_another_site_finds_the_session(visitor: httpx.Client, keys: KeysFile) -> None:
    path = "/ui/memories?user_id=linked%2Fto"
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    # Browsers send no cookie that is SameSite=Strict with it.
    page = parsed(visitor.get(path, headers=link))
    assert page.one("meta", http_equiv="refresh").attributes["content"] == "0"
    assert page.one("main").one("a").attributes["href"] == path
    assert visitor.get(path).headers["location"].startswith("/ui/login")
    sign_in(visitor, keys.create(app="a"))
    assert parsed(visitor.get(path)).one("h1").text == "Memories"


def test_the_cookie_is_secure_behind_https(visitor: httpx.Client, keys: KeysFile) -> None:
    for headers, is_secure in (({"X-Forwarded-Proto": "https"}, True), ({}, False)):
        answer = post(visitor, "/ui/login", {"key": keys.create(app="a")}, headers)
        assert ("secure" in answer.headers["set-cookie"].lower().split("; ")) is is_secure


def test_a_key_with_grants_is_told_that_it_may_not_list_users(visitor: httpx.Client, keys: KeysFile) -> None:
    sign_in(visitor, keys.create(app="a", grants=["read:*"]))
    page = parsed(visitor.get("/ui/users"))
    assert "Your key may not list the users" in page.text
    assert page.one("form", action="/ui/memories").one("input", name="user_id")


@pytest.mark.parametrize("key", ["", "omk_000000000000_x", "omk_", "a b", "ö", "omk_" + "x" * 100_000])
def test_a_wrong_key_signs_nobody_in(visitor: httpx.Client, key: str) -> None:
    page = parsed(post(visitor, "/ui/login", {"key": key}), 401)
    assert page.one("div", role="alert").text.strip()
    assert not visitor.cookies
    assert visitor.get("/ui/users").status_code == 303


@pytest.mark.parametrize(
    "destination",
    [
        "//evil.example/",
        "https://evil.example/",
        "/ui/../..//evil.example",
        "/ui/%2E%2e/docs",
        "/ui/\\evil",
        "/memories",
        "/ui/\nx",
        "javascript:x",
    ],
)
def test_a_sign_in_leads_to_no_other_place(visitor: httpx.Client, keys: KeysFile, destination: str) -> None:
    answer = post(visitor, "/ui/login", {"key": keys.create(app="a"), "next": destination})
    assert answer.headers["location"] == "/ui/users"


def test_a_revoked_key_ends_its_page_at_the_next_click(visitor: httpx.Client, keys: KeysFile) -> None:
    key = keys.create(app="a")
    sign_in(visitor, key)
    assert visitor.get("/ui/users").status_code == 200
    keys.revoke(key.split("_")[1])
    assert visitor.get("/ui/users").headers["location"].startswith("/ui/login")
    page = parsed(post(visitor, "/ui/memories", {"user_id": "u", "ids": "mem_1", "action": "forget"}), 401)
    assert page.one("div", role="alert").text.strip()


def test_signing_out_ends_the_session(visitor: httpx.Client, keys: KeysFile) -> None:
    sign_in(visitor, keys.create(app="a"))
    stolen = session_in(visitor)
    assert post(visitor, "/ui/logout", {}).headers["location"] == "/ui/login"
    assert visitor.get("/ui/users", headers={"Cookie": stolen}).status_code == 303


def test_signing_in_again_makes_a_new_session(visitor: httpx.Client, keys: KeysFile) -> None:
    fields = {"key": keys.create(app="a")}
    chosen = {"Cookie": f"omp_ui_{visitor.base_url.port}=chosen_by_somebody_else"}
    assert "chosen" not in post(visitor, "/ui/login", fields, chosen).headers["set-cookie"]
    first = session_in(visitor)
    sign_in(visitor, keys.create(app="a"))
    assert session_in(visitor) != first
    assert visitor.get("/ui/users", headers={"Cookie": first}).status_code == 303


def test_servers_on_other_ports_of_a_host_have_sessions_of_their_own(
    visitor: httpx.Client, keys: KeysFile, settings: dict[str, object], tmp_path: Path
) -> None:
    others = KeysFile(tmp_path / "keys.json")
    key = others.create(app="a")
    sign_in(visitor, keys.create(app="a"))
    with running(OmpServerConfig(settings=settings, ui=True, keys_file=others.path)) as other:
        # Browsers keep the cookies of all ports of a host together, and so does this client.
        visitor.base_url = httpx.URL(other.url)
        assert visitor.get("/ui/users").status_code == 303
        sign_in(visitor, key)
        assert visitor.get("/ui/users").status_code == 200
        assert post(visitor, "/ui/logout", {}).status_code == 303
    assert len(visitor.cookies) == 1


def test_an_api_key_opens_no_page(visitor: httpx.Client, keys: KeysFile) -> None:
    headers = {"Authorization": f"Bearer {keys.create(app='a')}"}
    assert visitor.get("/ui/users", headers=headers).status_code == 303


def test_a_session_opens_no_route_of_the_api(visitor: httpx.Client, keys: KeysFile) -> None:
    sign_in(visitor, keys.create(app="a"))
    cookie = {"Cookie": session_in(visitor)}
    assert visitor.get("/users", headers=cookie).status_code == 401


def test_a_session_ends_when_nobody_uses_it(keys: KeysFile) -> None:
    now = 0.0
    sessions = Sessions(KeyRing(keys.path, ()), lambda: now)
    token = sessions.start(keys.create(app="a"))
    now += IDLE_SECONDS - 1
    assert sessions.principal(token).app == "a"
    now += IDLE_SECONDS - 1
    assert sessions.principal(token).app == "a"
    now += IDLE_SECONDS + 1
    with pytest.raises(KeyRefusedError, match="sign in"):
        sessions.principal(token)


def test_who_signs_in_again_and_again_ends_only_own_sessions(keys: KeysFile) -> None:
    sessions = Sessions(KeyRing(keys.path, ()))
    other = sessions.start(keys.create(app="other"))
    key = keys.create(app="often")
    tokens = [sessions.start(key) for _ in range(MAX_SESSIONS_OF_KEY + 1)]
    with pytest.raises(KeyRefusedError):
        sessions.principal(tokens[0])
    assert [sessions.principal(token).app for token in (other, tokens[1], tokens[-1])] == ["other", "often", "often"]


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", ""])
@pytest.mark.parametrize("path", ["/ui/login", "/ui/logout", "/ui/memories"])
def test_forms_of_other_sites_are_refused(browser: httpx.Client, site: str, path: str) -> None:
    headers = {"Sec-Fetch-Site": site, "Content-Type": "application/x-www-form-urlencoded"}
    page = parsed(browser.post(path, content="user_id=u&ids=1&action=forget", headers=headers), 403)
    assert "was not sent by a page of this server" in page.text


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "https://127.0.0.1.evil.example"])
def test_without_fetch_metadata_the_origin_decides(open_server: Running, origin: str | None) -> None:
    with open_server.client() as client:
        own = {"Origin": open_server.url}
        assert (
            client.post("/ui/memories", data={"user_id": "u", "ids": "x", "action": "?"}, headers=own).status_code
            == 400
        )
        other = {} if origin is None else {"Origin": origin}
        assert client.post("/ui/memories", data={"user_id": "u"}, headers=other).status_code == 403


@pytest.mark.parametrize("destination", ["image", "iframe", "script", "empty"])
def test_other_sites_cannot_read_pages(browser: httpx.Client, destination: str) -> None:
    mode = "navigate" if destination == "iframe" else "no-cors"
    for site in ("cross-site", "same-site", "", "unheard-of"):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": destination}
        assert browser.get("/ui/users", headers=headers).status_code == 403


def test_links_of_other_sites_may_be_followed(browser: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert browser.get("/ui/users", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/ui/login", "/ui/users", "/ui/nothing", "/ui/memories"])
def test_every_reply_forbids_what_it_does_not_need(browser: httpx.Client, path: str) -> None:
    headers = browser.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert len(headers.get_list("content-security-policy")) == 1
    assert headers.get_list("cache-control") == ["no-store"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"


def test_without_keys_the_pages_are_for_this_machine_only(open_server: Running) -> None:
    with open_server.client() as client:
        assert client.get("/ui/users", headers={"Host": "rebound.example"}).status_code == 403
    with pytest.raises(InvalidRequestError, match="ui: without API keys the memory browser is for this machine only"):
        OmpServerConfig(ui=True, no_auth=True, host="0.0.0.0").check_exposure()


@pytest.mark.parametrize(
    "path", ["/ui/static/../../config.py", "/ui/static/%2e%2e/sessions.py", "/ui/static/ui.css", "/ui/static/", "/ui//"]
)
def test_no_other_file_is_served(browser: httpx.Client, path: str) -> None:
    assert browser.get(path).status_code in (303, 404)
    assert "import" not in browser.get(path).text


def test_files_are_kept_by_browsers(browser: httpx.Client) -> None:
    page = parsed(browser.get("/ui/users"))
    paths = [*(element.attributes["src"] for element in page.all("script"))]
    paths += [element.attributes["href"] for element in page.all("link")]
    assert len(paths) == 4
    for path in paths:
        answer = browser.get(path)
        assert answer.status_code == 200
        assert answer.headers.get_list("cache-control") == ["public, max-age=31536000, immutable"]
        assert answer.content


TICKET = "t" * 43


@pytest.fixture
def ticketed(settings: dict[str, object]) -> Iterator[Running]:
    """A server for the browser that opens it first."""
    config = OmpServerConfig(settings=settings, ui=True, keys=["k" * 43], loopback_only=True, ui_ticket=TICKET)
    with running(config) as server:
        yield server


def test_a_ticket_opens_one_browser(ticketed: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="openmem")
    path = opening_path(TICKET, "maya & co")
    with ticketed.client() as first, ticketed.client() as second:
        assert first.head(path).status_code == 204
        assert first.get(path, headers={"Sec-Purpose": "prefetch;prerender"}).status_code == 204
        wrong = first.get(opening_path("x" * 43, None))
        assert "has opened it already" in parsed(wrong, 401).one("div", role="alert").text
        assert wrong.headers["referrer-policy"] == "no-referrer"
        assert not first.cookies
        answer = first.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/memories?user_id=maya+%26+co")
        assert {"httponly", "samesite=strict"} <= set(answer.headers["set-cookie"].lower().split("; "))
        page = parsed(first.get(answer.headers["location"]))
        assert "There are no memories of this user." in page.text
        assert not list(page.all("form", action="/ui/logout"))
        assert first.get(path).headers["location"] == answer.headers["location"]
        assert "the address that openmem ui has printed" in parsed(second.get(path), 401).text
        asked = second.get("/ui/users")
        page = parsed(second.get(asked.headers["location"]))
        assert "the address that openmem ui has printed" in page.text
        assert not list(page.all("form"))
        assert second.get("/memories?user_id=maya").status_code == 401
        code = parsed(first.get("/ui/search?user_id=maya&q=tea")).one("pre", aria_labelledby="curl").text
        assert "http://127.0.0.1:8080/" in code
        assert "Authorization" not in code
    assert [line for line in caplog.messages if "path=/ui/open status=303" in line]
    assert TICKET not in caplog.text


def test_pages_of_other_servers_have_no_ticket(visitor: httpx.Client) -> None:
    assert visitor.get(opening_path(TICKET, None)).status_code == 404


def test_the_session_of_a_ticket_lasts(keys: KeysFile) -> None:
    now = 0.0
    key = keys.create(app="a")
    sessions = Sessions(KeyRing(keys.path, ()), lambda: now, idle_seconds=math.inf, ticket=TICKET, ticket_key=key)
    token = sessions.redeem(TICKET)
    now += 100 * IDLE_SECONDS
    assert sessions.principal(token).app == "a"
    with pytest.raises(KeyRefusedError):
        sessions.redeem(TICKET)
