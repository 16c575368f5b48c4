"""The API keys of the server: made, listed and revoked as by ``omp-server keys``."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from ...errors import InvalidRequestError
from ...server.commands import create_key, describe_key, list_keys, revoke_key
from ..jobs import IMPORT
from ..navigation import Link
from ..page import Page
from ..visit import Visit

PATH = "keys"
COLUMNS = ("Id", "Application", "Users", "Grants", "Made", "Ends")


async def show(visit: Visit, error: InvalidRequestError | None = None) -> Response:
    """The keys, and the form for a new one with what was typed into it."""
    visit.require_administrator()
    file = visit.site.config.keys_file
    keys = None if file is None else await asyncio.to_thread(list_keys, str(file))
    return await visit.page(
        "keys.html",
        title="API keys",
        error=error,
        status=200 if error is None else 400,
        columns=COLUMNS,
        keys=None if keys is None else [_shown(key) for key in keys],
        own_id=visit.principal.id,
        in_environment=len(visit.site.config.keys),
        form=visit.form,
    )


async def create(visit: Visit) -> Response:
    """Make a key, and show it this one time."""
    visit.require_administrator()
    form = visit.form
    try:
        key = await asyncio.to_thread(
            create_key,
            _file(visit),
            app=form.require("app"),
            users=_lines(form.one("users")),
            grants=_lines(form.one("grants")),
            expires=form.one("expires"),
            say=lambda message: None,
            expires_label="expires",
        )
    except InvalidRequestError as error:
        return await show(visit, error)
    return await visit.page("new_key.html", title="The new API key", key=key, app=form.require("app"))


async def ask(visit: Visit) -> Response:
    """Ask whether to revoke a key."""
    visit.require_administrator()
    id = visit.query.require("id")
    keys = await asyncio.to_thread(list_keys, _file(visit))
    key = next((key for key in keys if key["id"] == id), None)
    if key is None:
        raise InvalidRequestError("id: there is no such key; it may have been revoked before")
    return await visit.page(
        "revoke_key.html",
        title="Revoke this key?",
        columns=COLUMNS,
        key=_shown(key),
        is_own=id == visit.principal.id,
        running=sum(job.is_running for job in visit.site.jobs.of_kind(IMPORT) if job.owner == id),
    )


async def revoke(visit: Visit) -> Response:
    """Make a key useless from now on."""
    visit.require_administrator()
    await asyncio.to_thread(revoke_key, _file(visit), visit.form.require("id"), lambda message: None)
    return visit.redirect(PATH, done="revoked")


def _file(visit: Visit) -> str:
    file = visit.site.config.keys_file
    if file is None:
        raise InvalidRequestError("this server has no file of keys; start it with --keys-file")
    return str(file)


def _lines(text: str | None) -> list[str] | None:
    """What stands in the lines of a text; None if there is nothing."""
    found = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return found or None


def _shown(key: dict[str, Any]) -> dict[str, Any]:
    return {"id": key["id"], "cells": describe_key(key)}


PAGES = (
    Page(PATH, show, create, Link("Keys", is_administrative=True)),
    Page(f"{PATH}/revoke", ask, revoke),
)
