"""An instance of `AsyncMemory` for every request, as a dependency.

The simplest way: a handler gets a client of its own, which is closed once the response is made. The
clients of requests that come at once or shortly after each other share their connections.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from openmem import AsyncMemory, InvalidRequestError, MemoryPage, MemoryRecord, NotFoundError

app = FastAPI()


class Fact(BaseModel):
    """Something to remember."""

    content: str


async def get_memory() -> AsyncIterator[AsyncMemory]:
    async with AsyncMemory(url=os.environ["DATABASE_URL"], app="per-request") as memory:
        yield memory


async def get_user(x_user: Annotated[str, Header()]) -> str:
    """Who is asking. An application takes this from its own sign-in, never from the caller's word."""
    return x_user


Memory = Annotated[AsyncMemory, Depends(get_memory)]
User = Annotated[str, Depends(get_user)]


@app.exception_handler(InvalidRequestError)
async def refuse(request: Request, error: InvalidRequestError) -> JSONResponse:
    return JSONResponse({"detail": error.message}, 422)


@app.exception_handler(NotFoundError)
async def miss(request: Request, error: NotFoundError) -> JSONResponse:
    return JSONResponse({"detail": error.message}, 404)


@app.post("/facts", status_code=201)
async def remember(fact: Fact, user: User, memory: Memory) -> dict[str, str]:
    record = await memory.add(content=fact.content, user_id=user)
    return {"id": record.id}


@app.get("/facts")
async def recall(query: str, user: User, memory: Memory) -> list[str]:
    return [hit.memory.content for hit in await memory.search(query, user_id=user)]


@app.get("/facts/all")
async def everything(user: User, memory: Memory, cursor: str | None = None) -> MemoryPage:
    return await memory.list(user, limit=100, cursor=cursor)


# The id comes from the caller, so `user_id` says whose it must be: somebody else's fact is a 404.


@app.put("/facts/{id}")
async def correct(id: str, fact: Fact, user: User, memory: Memory) -> MemoryRecord:
    return await memory.update(id, content=fact.content, user_id=user)


@app.delete("/facts/{id}", status_code=204)
async def forget(id: str, user: User, memory: Memory) -> None:
    await memory.delete(id, user_id=user)
