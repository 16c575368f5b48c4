"""One instance of `AsyncMemory` for the whole application, opened and closed by its lifespan.

Requests share its pool, so that none of them waits for a new connection, and the database never sees
more than `pool_max_size` of them from this process.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from openmem import AsyncMemory, InvalidRequestError, MemoryPage, MemoryRecord, NotFoundError, ProviderError


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncMemory(url=os.environ["DATABASE_URL"], app="shared", pool_max_size=8) as memory:
        app.state.memory = memory
        yield


app = FastAPI(lifespan=lifespan)


class Fact(BaseModel):
    """Something to remember."""

    content: str


def get_memory(request: Request) -> AsyncMemory:
    memory: AsyncMemory = request.app.state.memory
    return memory


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


@app.exception_handler(ProviderError)
async def apologize(request: Request, error: ProviderError) -> JSONResponse:
    return JSONResponse({"detail": "the memory is not available", "request_id": error.request_id}, 503)


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
