"""The two FastAPI applications of docs/async.md, asked over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from openmem import Memory

from ..servers import Server
from .pages import Notebook, blocks


def test_both_applications_remember(server: Server) -> None:
    with Notebook(server) as notebook:
        applications = []
        for block in blocks("docs/async.md"):
            if block.language == "python":
                notebook.run(block)
                if "FastAPI(" in block.source:
                    applications.append(notebook.names["app"])
        assert len(applications) == 2
        for number, application in enumerate(applications):
            user = f"user-{number}"
            ids = asyncio.run(remember(application, user, times=20))
            with Memory(url=notebook.url) as memory:
                assert {record.id for record in memory.list(user).items} == set(ids)


async def remember(application: Any, user: str, times: int) -> list[str]:
    async with application.router.lifespan_context(application):
        transport = httpx.ASGITransport(app=application)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
            asyncio.TaskGroup() as group,
        ):
            calls = [
                group.create_task(client.post("/remember", params={"content": f"fact {number}", "user_id": user}))
                for number in range(times)
            ]
        return [call.result().raise_for_status().json()["id"] for call in calls]
