"""A store full of what people and programs might have put there to harm whoever looks at it."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from openmem import Memory
from openmem.server import OmpServerConfig

from ..server.harness import Running, running
from ..servers import Server
from .conftest import whole
from .tabs import Look, Tab, tab

pytestmark = whole

SCRIPTS = (
    "<script>document.title='taken'</script>",
    "<img src=x onerror=\"document.title='taken'\">",
    "</p></main><svg onload=document.title='taken'>",
    "'\"><iframe src=javascript:parent.document.title='taken'></iframe>",
    "{{ 7*7 }} {% raw %} ${7*7} <%= 7*7 %>",
    "javascript:document.title='taken'",
    "<a href=\"javascript:document.title='taken'\">click</a>",
    "<form action=https://evil.example><input name=key><button>Sign in again</button></form>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<style>*{display:none}</style><base href=https://evil.example/>",
    "<div hx-get=/ui/keys hx-trigger=load hx-on::load=\"document.title='taken'\">x</div>",
    "<!--", "]]>", "&lt;script&gt;", "<\x01script>", "\r\nSet-Cookie: omp_ui=x",
)  # fmt: skip
ODD = (
    "a\u202ereversed\u202c",
    "zero\u200bwidth\u200d\u2060\ufeff",
    "\u2066isolate\u2069 \u061c",
    "tags \U000e0041\U000e0042\U000e007f",
    "soft\u00adhyphen \u180e \u3164 \u115f",
    "\u0007bell \u001b[31mred\u009b",
    "Z" + "\u0300\u0316" * 300 + "algo",
    "\ufff9interlinear\ufffb \U0010ffff \ue000",
    "x" * 5_000,
    "\ufdfd" * 400,
    "line\u2028separator\u2029\u0085",
)
WIDE = "w" * 65_536


def every_script() -> str:
    """A letter or two of every block of Unicode."""
    letters = [chr(code) for code in range(0xA0, 0x20000, 64) if unicodedata.category(chr(code))[0] in "LNSM"]
    return " ".join(letters)


@pytest.fixture(scope="module")
def site(browser: Any, server: Server) -> Iterator[tuple[Running, Memory]]:
    url = server.create_database()
    with Memory(url=url, embedder="hashing", app="<b>app</b>\u202e") as memory:
        texts = [*SCRIPTS, *ODD, every_script(), WIDE, "<script>" * 8_000, "\u202e" * 20_000 + "end"]
        memory.add_many(
            [
                {
                    "content": text.replace("\x00", ""),
                    "user_id": "victim",
                    "tags": [text[:100].strip() or "tag"],
                    "metadata": {text[:50]: [text[:500]]},
                    "source": {"app": text[:200].strip() or "app", "ref": text[:200]},
                    "x-evil": {"<script>": text[:200]},
                }
                for text in texts
            ]
        )
        rng = random.Random(7)
        memory.add_many(
            [
                {"content": f"note {n}", "user_id": "scopes", "scope": "/".join([f"s{rng.randrange(99)}", f"{n}"])}
                for n in range(10_000)
            ]
        )
        memory.add_many([{"content": text[:80], "user_id": text[:200].strip()} for text in (*SCRIPTS, *ODD)])
        config = OmpServerConfig(settings={"url": url, "embedder": "hashing"}, ui=True, loopback_only=True)
        with running(config) as server_of_it:
            yield server_of_it, memory


def look_around(seen: Tab, addresses: list[str]) -> None:
    for address in addresses:
        assert seen.open(address) == 200, address
        assert seen.page.title().endswith("· openmem"), address
        assert seen.path.startswith("/ui/"), address
        assert seen.page.locator("main script, main iframe, main style, main base, main svg[onload]").count() == 0
        assert not seen.scrolls_sideways() if seen.look.scripts else True, address
    assert seen.complaints == []


def test_memories_are_text_and_nothing_else(browser: Any, site: tuple[Running, Memory], look: Look) -> None:
    server, memory = site
    records = list(memory.iterate("victim"))
    with tab(browser, look, server.url) as seen:
        look_around(seen, ["/ui/users", "/ui/memories?user_id=victim", "/ui/facets?user_id=victim&by=tag"])
        look_around(seen, [f"/ui/facets?user_id=victim&by={by}" for by in ("scope", "app")])
        look_around(seen, [f"/ui/search?user_id=victim&q={quote(text)}" for text in ("script", *SCRIPTS[:2])])
        shown = [record for record in records if len(record.content) > 60_000 or record.content in (*SCRIPTS[:3], *ODD)]
        look_around(seen, [f"/ui/memory?id={record.id}&user_id=victim" for record in shown])
        look_around(seen, [f"/ui/edit?id={record.id}&user_id=victim" for record in shown[:3]])


def test_what_cannot_be_seen_is_shown(browser: Any, site: tuple[Running, Memory]) -> None:
    server, memory = site
    [record] = [record for record in memory.iterate("victim") if record.content == ODD[0]]
    with tab(browser, Look(), server.url) as seen:
        seen.open(f"/ui/memory?id={record.id}&user_id=victim")
        assert "\u202e" not in seen.page.content()
        assert "U+202E" in seen.page.locator("main p.text").first.inner_text()


def test_ten_thousand_scopes(browser: Any, site: tuple[Running, Memory], look: Look) -> None:
    server, _ = site
    with tab(browser, look, server.url) as seen:
        look_around(
            seen, ["/ui/facets?user_id=scopes", "/ui/memories?user_id=scopes", "/ui/memories?user_id=scopes&scope=s5/*"]
        )


@pytest.mark.parametrize(
    "query",
    [
        "user_id=" + quote("<script>document.title='taken'</script>"),
        "user_id=u&scope=" + quote("'\"><img src=x onerror=document.title='taken'>"),
        "user_id=u&done=" + quote("<b>x") + "&n=99999999999",
        "user_id=u&tags=" + quote("\u202e<script>"),
        "user_id=u&cursor=" + quote("<script>document.title='taken'</script>"),
        "user_id=u&since=" + quote("<script>"),
        "user_id=" + "x" * 600,
        "user_id=u&where=" + quote('{"a": "</script>"}'),
        "user_id=%00", "user_id=%ff", "user_id=u&user_id=v", "",
    ],
)  # fmt: skip
def test_addresses_that_somebody_made_up(browser: Any, site: tuple[Running, Memory], query: str) -> None:
    server, _ = site
    with tab(browser, Look(), server.url) as seen:
        for page in ("memories", "search", "facets", "memory", "edit"):
            assert seen.open(f"/ui/{page}?{query}") in (200, 400, 404)
            assert seen.page.title().endswith("· openmem")
            assert seen.page.locator("main script, main img").count() == 0
        seen.complaints = [text for text in seen.complaints if "404" not in text and "does not conform" not in text]
        assert seen.complaints == []
