"""mem0's SDK: the client of the hosted service and the open-source engine, in one shape. All of it blocks.

Importing this module imports mem0, whose own import writes to the home directory, starts telemetry
and changes the warning filters and levels of other libraries' loggers; none of that outlives it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from importlib.abc import MetaPathFinder
from typing import Any, Final
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from ...._forking import undisturbed
from ...._model_calls import CheckedEmbedder
from ...._retrying import retry_after
from ....embedders import Embedder
from ....errors import InvalidRequestError, NotFoundError, OMPError, ProviderError
from ..errors import VendorErrors, shorten
from ..http import http_client

FIRST_LISTING: Final = 1000
"""How many memories the engine is asked for at first, when all are wanted, …"""
LISTING_GROWTH: Final = 10
"""… and how many times as many next, if there can be more."""
STORES_IN_THIS_PROCESS: Final = frozenset({"faiss", "chroma"})
"""mem0's names of vector stores that are libraries and expect one thread at a time."""

# The engine makes an LLM client also where no LLM is ever asked.
_UNUSED: Final = {"provider": "openai", "config": {"api_key": "unused"}}
_SILENCED_LOGGERS: Final = ("urllib3", "posthog")


class _Hidden(MetaPathFinder):
    """Keeps what the thread imports from finding a package."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == self._package and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is not imported here", name=fullname)


@contextlib.contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Hide a package from the imports of this thread within the block."""
    finder = _Hidden(package)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextlib.contextmanager
def _contained() -> Iterator[None]:
    """Keep what an import of mem0 does to the process within the block."""
    levels = {name: logging.getLogger(name).level for name in _SILENCED_LOGGERS}
    with tempfile.TemporaryDirectory(prefix="openmem-mem0-") as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        changed = {"MEM0_DIR": directory, "MEM0_TELEMETRY": "False"}
        before = {name: os.environ.get(name) for name in changed}
        os.environ.update(changed)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


def _import_mem0() -> Any:
    if "mem0" in sys.modules:
        return sys.modules["mem0"]
    # qdrant-client imports fastembed if it is there, and with it ONNX Runtime, which takes half a second and lets a
    # forked child hang at its end. It asks for fastembed again when it needs it.
    with _contained(), _hidden("fastembed"):
        return importlib.import_module("mem0")


mem0: Final = _import_mem0()
api_error_handler: Final[Any] = importlib.import_module("mem0.client.utils").api_error_handler
MemoryConfig: Final[Any] = importlib.import_module("mem0.configs.base").MemoryConfig
EmbeddingBase: Final[Any] = importlib.import_module("mem0.embeddings.base").EmbeddingBase


class HostedClient:
    """mem0's hosted API. Makes no request when it is constructed.

    Args:
        host: the server; None for mem0's own.
        timeout: seconds to wait for each part of a reply.
    """

    @undisturbed()
    def __init__(self, api_key: str, host: str | None, timeout: float) -> None:
        self._http = http_client(host, timeout)
        self._client = _client_without_request(api_key, host)
        self._http.base_url, self._http.headers = self._client.client.base_url, self._client.client.headers
        self._client.client = self._http

    def add(self, content: str, *, user_id: str, metadata: Mapping[str, Any], infer: bool) -> Any:
        """Store a text, or with `infer` what the service's LLM makes of it."""
        return self._client.add(_messages(content), user_id=user_id, metadata=metadata, infer=infer)

    def get(self, id: str) -> Any:
        """One memory."""
        return self._client.get(id)

    def update(self, id: str, *, text: str | None, metadata: Mapping[str, Any]) -> Any:
        """Change the metadata of a memory, and its text unless that is None."""
        return self._client.update(id, text=text, metadata=metadata)

    def delete(self, id: str) -> Any:
        """Delete a memory."""
        return self._client.delete(id)

    def search(self, query: str, *, filters: Mapping[str, Any], top_k: int) -> Any:
        """The memories most similar to `query`, however little."""
        return self._client.search(query, filters=filters, top_k=top_k, threshold=0.0, show_expired=True)

    def list(self, filters: Mapping[str, Any], page: int, page_size: int) -> Any:
        """One page of the memories."""
        return self._client.get_all(filters=filters, page=page, page_size=page_size, show_expired=True)

    @api_error_handler  # type: ignore[untyped-decorator]  # mem0 has no types
    def event(self, id: str) -> Any:
        """What became of a queued `add`; the SDK has no method for it."""
        return self._http.get(f"/v1/event/{quote(id, safe='')}/").raise_for_status().json()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class Engine:
    """mem0's engine in this process.

    Args:
        config: the engine's settings.
        embedder: used instead of the engine's own; None for the one that `config` names.
    """

    def __init__(self, config: Mapping[str, Any], embedder: Embedder | None) -> None:
        settings = _copied(config)
        settings.setdefault("history_db_path", ":memory:")
        settings.setdefault("llm", _copied(_UNUSED))
        if embedder is not None:
            settings["embedder"] = _copied(_UNUSED)
            store = settings["vector_store"].setdefault("config", {})
            if settings["vector_store"].get("provider", "qdrant") != "chroma":
                store.setdefault("embedding_model_dims", _dim(embedder))
        try:
            engine = mem0.Memory(MemoryConfig(**settings))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            field = ".".join(map(str, ("config", *first["loc"])))
            raise InvalidRequestError(f"{field}: {first['msg']}") from error
        if embedder is not None:
            engine.embedding_model = _embedding_model(embedder)
        self._engine = engine
        self._lock = threading.Lock() if is_in_this_process(engine) else contextlib.nullcontext()

    def add(self, content: str, *, user_id: str, metadata: Mapping[str, Any], infer: bool) -> Any:
        """Store a text; `infer` is False."""
        with self._lock:
            return self._engine.add(_messages(content), user_id=user_id, metadata=dict(metadata), infer=infer)

    def get(self, id: str) -> Any:
        """One memory; None if there is none."""
        with self._lock:
            return self._engine.get(id)

    def update(self, id: str, *, text: str | None, metadata: Mapping[str, Any]) -> Any:
        """Change the metadata of a memory, and its text unless that is None."""
        with self._lock:
            return self._engine.update(id, text=text, metadata=dict(metadata))

    def delete(self, id: str) -> Any:
        """Delete a memory."""
        with self._lock:
            return self._engine.delete(id)

    def search(self, query: str, *, filters: Mapping[str, Any], top_k: int) -> Any:
        """The memories most similar to `query`, however little."""
        with self._lock:
            return self._engine.search(query, filters=dict(filters), top_k=top_k, threshold=0.0, show_expired=True)

    def list_all(self, filters: Mapping[str, Any]) -> Any:
        """All memories at once: the engine cannot page."""
        top_k = FIRST_LISTING
        while True:
            with self._lock:
                answer = self._engine.get_all(filters=dict(filters), top_k=top_k, show_expired=True)
            if len(answer["results"]) < top_k:
                return answer
            top_k *= LISTING_GROWTH

    def close(self) -> None:
        """Close the vector store, also one in this process that the engine leaves open."""
        with self._lock:
            self._engine.close()
            store = self._engine.vector_store
            if getattr(store, "is_local", False):
                store.client.close()


def translate(error: Exception, errors: VendorErrors) -> OMPError:
    """openmem's error for an exception of the SDK or the engine."""
    info = getattr(error, "debug_info", None)
    status = info.get("status_code") if isinstance(info, Mapping) else None
    code = str(getattr(error, "error_code", ""))
    if isinstance(status, int):
        response = getattr(error.__context__, "response", None)
        asked = retry_after(response and response.headers.get("retry-after"))
        return errors.from_status(status, _detail(error), asked)
    if code == "NET_TIMEOUT":
        return errors.timed_out()
    if code.startswith("NET_"):
        return errors.unreachable(str(error))
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return errors.malformed("something that is not JSON")
    if isinstance(error, ValueError) and re.match(r"Memory with id .* not found", str(error)):
        return NotFoundError("mem0 has no such memory")
    if isinstance(error, ConnectionError):
        return errors.unreachable(str(error))
    return ProviderError(f"mem0 failed with {type(error).__name__}: {shorten(str(error))}")


def _detail(error: Exception) -> str:
    """What the service said; the SDK keeps only one of the keys it uses."""
    details = getattr(error, "details", None)
    said = details.get("error") or details.get("detail") if isinstance(details, Mapping) else None
    return str(said or error)


def _client_without_request(api_key: str, host: str | None) -> Any:
    """mem0's client, whose constructor asks the service for what is used only to administer projects.

    A client without a network answers that request.
    """
    names = {"org_id": "unknown", "project_id": "unknown"}
    offline = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=names)), trust_env=False)
    return mem0.MemoryClient(api_key=api_key, host=host, client=offline)


def _messages(content: str) -> list[dict[str, str]]:
    """A text in the form in which mem0 takes texts in."""
    return [{"role": "user", "content": content}]


def _copied(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` with new mappings, since the engine writes into them, and the same values, such as clients."""
    return {key: _copied(value) if isinstance(value, Mapping) else value for key, value in settings.items()}


def is_in_this_process(engine: Any) -> bool:
    """Whether the vector store is a library that does not expect several threads."""
    if engine.config.vector_store.provider in STORES_IN_THIS_PROCESS:
        return True
    options = getattr(getattr(engine.vector_store, "client", None), "init_options", None)  # Qdrant's
    return isinstance(options, Mapping) and (options.get("location") == ":memory:" or options.get("path") is not None)


def _dim(embedder: Embedder) -> int:
    """The length of an embedder's vectors; one is made if that is how it is known."""
    return embedder.dim or len(CheckedEmbedder(embedder).embed(["length"])[0])


def _embedding_model(embedder: Embedder) -> Any:
    model = CheckedEmbedder(embedder)

    def embed(self: Any, text: str, memory_action: str | None = None) -> list[float]:
        [vector] = embed_batch(self, [text], memory_action)
        return vector

    def embed_batch(self: Any, texts: list[str], memory_action: str | None = "add") -> list[list[float]]:
        return (model.embed_queries if memory_action == "search" else model.embed)(texts)

    return type("Model", (EmbeddingBase,), {"embed": embed, "embed_batch": embed_batch})()
