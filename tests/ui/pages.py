"""Pages as tests read them: the HTML as a tree, and forms that are filled in and sent like a browser does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode

import httpx

VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})


@dataclass
class Element:
    """An element of a page."""

    tag: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text in it, and in those below."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, tag: str, **attributes: str) -> Iterator[Element]:
        """The elements below it with this tag and these attributes, whose names may end in an underscore."""
        wanted = {name.strip("_").replace("_", "-"): value for name, value in attributes.items()}
        for child in self.children:
            if isinstance(child, Element):
                if child.tag == tag and all(child.attributes.get(name) == value for name, value in wanted.items()):
                    yield child
                yield from child.all(tag, **attributes)

    def one(self, tag: str, **attributes: str) -> Element:
        """The only one of `all`."""
        found = list(self.all(tag, **attributes))
        assert len(found) == 1, (tag, attributes, len(found))
        return found[0]


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def parsed(response: httpx.Response, status: int = 200) -> Element:
    """The page in a response, every element of which must be closed."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    parser = _Parser()
    parser.feed(response.text)
    parser.close()
    assert len(parser._open) == 1
    return parser.root


def post(
    client: httpx.Client,
    path: str,
    fields: Mapping[str, str | Sequence[str]],
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Send a form."""
    media_type = {"Content-Type": "application/x-www-form-urlencoded"}
    return client.post(path, content=urlencode(fields, doseq=True), headers={**media_type, **(headers or {})})


def sign_in(client: httpx.Client, key: str) -> None:
    """Sign in with a key; the client keeps the cookie."""
    response = post(client, "/ui/login", {"key": key})
    assert response.status_code == 303, response.text
