"""The memory browser of omp-server: what is stored about whom, as web pages. Needs the extra ``openmem[ui]``.

``omp-server --ui`` serves it at ``/ui`` beside the API, and ``openmem ui`` on the embedded default. Pages are made
here, of Jinja2 templates, and work without JavaScript; htmx, which is part of the package, only saves loading whole
pages.

A page is a module of `openmem.ui.pages` with a `Page` of its path, its handlers and its place in the navigation, and a
template. `openmem.ui.routes` lists the pages. To add one:

* The handler takes a `Visit` and returns a response: ``await visit.page("name.html", title=…, …)``, or after a change
  ``visit.redirect("memories", user_id=…, done="forgot")``. It is ``get`` if it only reads, ``post`` if it changes
  anything. Paths are fixed; what a page is about comes in the query string, under the names of the HTTP API
  (``user_id``, ``id``), since ids may hold anything, and the access log has no query string.
* ``await visit.run(op)`` performs a verb, for the key that signed in, with its users and grants, and audited as
  `openmem.ui.visit.APP`. ``visit.query.operation(ROUTE, visit.zone)`` makes an operation of what a form or a link says,
  with the parsers and messages of the HTTP API; empty fields count as left out, and times without an offset are in the
  reader's zone. A page runs one verb or two. What takes time for a user of many memories is a part that is loaded
  later, and a page of its own without JavaScript.
* Errors are raised as `OMPError` and shown by the application; nobody shows an empty list instead. A form that is to be
  shown again with what was typed catches `InvalidRequestError` or `ConflictError` and passes ``error=`` to the page.
* Templates extend ``base.html`` and fill the block ``content``. Text from memory is never markup: everything is
  escaped, and text is shown by ``{{ value|visible }}``, which shows characters that cannot be seen, within an element
  with ``dir="auto"``. In attributes and form fields it stands as it is, ``value="{{ value }}"``. Times are
  ``{{ moment|time }}``, links ``{{ url("memory", id=…, user_id=…) }}``, and ``macros.html`` has the pages of a list.
* No inline script, style or handler: the content security policy forbids them. Styles are in ``static/ui.css``, by the
  names of custom properties for colors. The little script there is stands in ``static/ui.js``.
* Forms send ``method="post"`` to a page of the browser; the application refuses what another site sends.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from .._extras import require_extra

__all__ = ["OPENING", "opening_path", "require_ui_extra"]

OPENING: Final = "open"
"""The page that signs a web browser in by a ticket."""


def require_ui_extra(purpose: str) -> None:
    """Raise `ImportError` with the install command unless what the browser needs is installed."""
    require_extra(purpose, "ui", ("fastapi", "uvicorn", "fasteners", "asyncpg", "httpx", "jinja2", "python_multipart"))


def opening_path(ticket: str, user_id: str | None) -> str:
    """The path that opens the browser by the `openmem.server.OmpServerConfig.ui_ticket` of its server.

    Args:
        user_id: whose memories it begins with; None for the first page.
    """
    following = {} if user_id is None else {"next": f"/ui/memories?{urlencode({'user_id': user_id})}"}
    return f"/ui/{OPENING}?{urlencode({'ticket': ticket, **following})}"
