"""Letta: the memories of a user are the passages of an archive of that user.

A passage can be made, found and deleted, and not be changed, so there is no `update`, and nothing
that would have to end another memory. Letta cannot give a passage by its id either; it can give those
of one moment. So the id of a memory here holds the ids of archive and passage, and the moment.

Archives have no unique names, and two clients can make one for the same user at once. What is read,
is read from all archives of the user's name; what is written goes to the oldest.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import os
import re
import uuid
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any, Final

from ...._forking import undisturbed
from ...._network import trusts_environment
from ...._retrying import retry_after
from ...._scopes import ScopeFilter
from ....config import ClientConfig
from ....errors import InvalidRequestError, NotFoundError, OMPError, ProviderError
from ....models import CapabilityFeatures, CapabilityLimits, MemoryRecord
from ....operations import Search
from ....ports import Ports
from ...base import Provider
from ..base import ENVELOPE, Candidate, Candidates, Stored, VendorProvider, check_url, endpoint

API_KEY_VARIABLE: Final = "LETTA_API_KEY"
URL_VARIABLE: Final = "LETTA_BASE_URL"
HOSTED_URL: Final = "https://api.letta.com"
ARCHIVE_PREFIX: Final = "openmem:"
PAGE_SIZE: Final = 100
ARCHIVES_AT_ONCE: Final = 50

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ID_PREFIX: Final = "mem_"
_WORD: Final = re.compile(r"\w+")
_BEYOND: Final = ("created_by_id", "last_updated_by_id", "file_id", "file_name", "source_id")


@dataclass(frozen=True, slots=True)
class PassageId:
    """Where a memory is.

    Attributes:
        archive: id of the archive.
        passage: id of the passage.
        created_at: when Letta says it was made, to the microsecond.
    """

    archive: str
    passage: str
    created_at: datetime

    def __str__(self) -> str:
        microseconds = (self.created_at - _EPOCH) // timedelta(microseconds=1)
        packed = (
            _uuid_in(self.archive, "archive")
            + _uuid_in(self.passage, "passage")
            + microseconds.to_bytes(8, "big", signed=True)
        )
        return _ID_PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def parse(cls, id: str) -> PassageId | None:
        """What an id says; None if no memory can have it."""
        try:
            packed = base64.b64decode(id.removeprefix(_ID_PREFIX) + "==", altchars=b"-_", validate=True)
            archive, passage = uuid.UUID(bytes=packed[:16]), uuid.UUID(bytes=packed[16:32])
            moment = _EPOCH + timedelta(microseconds=int.from_bytes(packed[32:], "big", signed=True))
        except (binascii.Error, ValueError, OverflowError):
            return None
        if (archive.version, passage.version) != (4, 4):
            return None
        found = cls(f"archive-{archive}", f"passage-{passage}", moment)
        return found if str(found) == id else None


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive of ours.

    Attributes:
        embeds: whether its passages have vectors.
        searches_itself: whether its search reads the passages, and not an index that holds less.
    """

    id: str
    user_id: str
    embeds: bool
    searches_itself: bool


class LettaProvider(VendorProvider):
    """Memories in Letta, hosted or on a server of one's own.

    Options:
        embedding: handle of the model that embeds the passages of new archives, as in
            ``"openai/text-embedding-3-small"``.
        embedding_config: Letta's settings of that model, instead of a handle.

    With neither it is the server's default. An archive without a model has no vectors, and Letta
    finds in it only passages that contain the whole query; there, all passages of the user are read
    and ranked by the words they share with the query.
    """

    name = "letta"
    vendor = "Letta"
    options = frozenset({"embedding", "embedding_config"})
    limits = CapabilityLimits(max_search_results=PAGE_SIZE)
    max_candidates = PAGE_SIZE
    update = Provider.update

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        self._model = _check_model(config.options)
        self._url = _url_of(config)
        self._key = self.credential(API_KEY_VARIABLE)
        if self._key is None and self._url == HOSTED_URL:
            raise InvalidRequestError(
                f"api_key: Letta's hosted service needs one, also from {API_KEY_VARIABLE}; "
                f"for a server of your own pass base_url, also from {URL_VARIABLE}"
            )
        if self._key is not None and not (self._key.isascii() and self._key.isprintable()):
            raise InvalidRequestError("api_key: it has characters that no key has")
        self.features = CapabilityFeatures(vector_search=bool(self._model), temporal=True, scopes="tags", scores="rank")
        self._sdk: ModuleType | None = None
        self._client: Any = None

    async def open(self) -> None:
        if self._client is None:
            self._sdk = await self.ports.import_module("letta_client")
            self._client = await self.call(
                undisturbed()(self._sdk.Letta),
                api_key=self._key,
                base_url=self._url,
                timeout=self.timeout,
                max_retries=0,
                http_client=None if trusts_environment(self._url) else self._sdk.DefaultHttpxClient(trust_env=False),
                changes=False,
            )
            # The SDK takes a blank variable for a key.
            self._client.api_key = self._key

    async def close(self) -> None:
        if self._client is not None:
            await self.ports.call_when_idle(self._client.close)

    async def ping(self) -> None:
        await self.call(self._client.health, changes=False)

    def translate(self, error: Exception) -> OMPError:
        sdk: Any = self._sdk
        if isinstance(error, sdk.APIStatusError):
            # What it says can hold SQL, and names of others.
            asked = retry_after(error.response.headers.get("retry-after"))
            return self.failure(error.status_code, "its own words are in the __cause__", asked)
        if isinstance(error, sdk.APITimeoutError):
            return self.timed_out()
        if isinstance(error, sdk.APIConnectionError):
            return self.unreachable(str(error.__cause__ or error))
        if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
            return self.malformed("something that is not JSON")
        return ProviderError(f"Letta's SDK failed with {type(error).__name__}")

    # The calls

    async def insert(self, draft: MemoryRecord) -> MemoryRecord:
        archives = await self._archives(draft.user_id) or await self._make_archive(draft.user_id)
        answer = await self.call(
            self._client.archives.passages.create,
            archives[0].id,
            text=draft.content,
            created_at=draft.created_at.isoformat(),
            metadata=self.envelope(draft),
            tags=list(dict.fromkeys(draft.tags or ())),
            changes=True,
        )
        return self._stored(answer, archives[0]).record

    async def fetch(self, id: str) -> Stored | None:
        place = PassageId.parse(id)
        if place is None:
            return None
        async with aclosing(self._walk(place.archive, place.created_at, place.created_at)) as pages:
            async for page in pages:
                for passage in page:
                    if self.field(passage, "id", str) == place.passage:
                        archive = await self._archive(place.archive)
                        return None if archive is None else self._stored(passage, archive)
        return None

    async def remove(self, stored: Stored) -> None:
        place = PassageId.parse(stored.core.id)
        assert place is not None
        await self.call(
            self._client.archives.passages.delete,
            place.passage,
            archive_id=place.archive,
            changes=True,
            of=stored.core.id,
        )

    async def pages(self, user_id: str) -> AsyncGenerator[Iterable[Stored], None]:
        for archive in await self._archives(user_id):
            async with aclosing(self._walk(archive.id)) as pages:
                async for page in pages:
                    yield [self._stored(passage, archive) for passage in page]

    async def candidates(self, op: Search, scopes: ScopeFilter | None, count: int) -> Candidates:
        rankings = []
        complete = True
        for archive in await self._archives(op.user_id):
            if archive.embeds:
                ranking, reached_all = await self._similar(archive, op.query, count)
                complete = complete and reached_all
            else:
                ranking = await self._alike(archive, op.query)
            rankings.append(ranking)
        merged = [candidate for rank in itertools.zip_longest(*rankings) for candidate in rank if candidate is not None]
        return Candidates(merged[:count], complete and len(merged) <= count)

    # Archives

    async def _archives(self, user_id: str) -> Sequence[Archive]:
        """The archives of a user, the oldest first: one, or more if clients made them at the same time."""
        found: list[Archive] = []
        after: dict[str, str] = {}
        while True:
            page = await self.call(
                self._client.archives.list,
                name=ARCHIVE_PREFIX + user_id,
                order="asc",
                limit=ARCHIVES_AT_ONCE,
                **after,
                changes=False,
            )
            items = self.field(page, "items", list)
            for item in items:
                archive = self._ours(item)
                if archive is None or archive.user_id != user_id:
                    raise self.malformed("an archive of another user; it was withheld")
                if archive in found:
                    raise self.malformed("the same archive twice")
                found.append(archive)
            if len(items) < ARCHIVES_AT_ONCE:
                return found
            after = {"after": found[-1].id}

    async def _make_archive(self, user_id: str) -> Sequence[Archive]:
        """Make an archive for a user who has none; returns all there are then."""
        try:
            made = await self.call(
                self._client.archives.create, name=ARCHIVE_PREFIX + user_id, **self._model, changes=True
            )
        except InvalidRequestError as error:
            raise InvalidRequestError(f"{error.message}; check embedding and embedding_config") from error.__cause__
        archive = self._ours(made)
        if archive is None or archive.user_id != user_id:
            raise self.malformed("an archive that was not asked for")
        return await self._archives(user_id) or [archive]

    async def _archive(self, id: str) -> Archive | None:
        """The archive with this id; None if there is none, or it is not ours."""
        try:
            return self._ours(await self.call(self._client.archives.retrieve, id, changes=False, of=id))
        except NotFoundError:
            return None

    def _ours(self, answer: object) -> Archive | None:
        name = self.field(answer, "name", str)
        if not name.startswith(ARCHIVE_PREFIX):
            return None
        return Archive(
            id=self.field(answer, "id", str),
            user_id=name.removeprefix(ARCHIVE_PREFIX),
            embeds=self.optional(answer, "embedding_config", object) is not None,
            searches_itself=self.optional(answer, "vector_db_provider", str) == "native",
        )

    # Passages

    async def _walk(
        self, archive_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncGenerator[Sequence[object], None]:
        """The passages of an archive, the oldest first, of which some may come twice.

        Letta gives the first hundred from a moment on. The last moment of them is where the next
        hundred begin, unless all are of one moment, which is what a batch of others can be: the rest
        is then listed through an agent, which is the one way to go from passage to passage.
        """
        while True:
            answer = await self.call(
                self._client.passages.search,
                archive_id=archive_id,
                start_date=since,
                end_date=until,
                limit=PAGE_SIZE,
                changes=False,
            )
            page = [passage for passage, _ in self._found(answer, archive_id)]
            moments = [self.field(passage, "created_at", datetime) for passage in page]
            if moments != sorted(moments) or (since is not None and moments and moments[0] < since):
                raise self.malformed("passages that are not in order of time")
            yield page
            if len(page) < PAGE_SIZE:
                return
            if moments[0] == moments[-1]:
                yield await self._rest(archive_id, self.field(page[0], "id", str))
                return
            since = moments[-1]

    async def _rest(self, archive_id: str, after: str) -> Sequence[object]:
        """All passages of an archive that come after one of those just read."""
        rest = await self.call(self._list_through_agent, archive_id, after, changes=False)
        if len(rest) < PAGE_SIZE - 1:
            raise self.malformed("fewer passages than it had a moment ago")
        for passage in rest:
            self._check_archive(passage, archive_id)
        return rest

    def _list_through_agent(self, archive_id: str, after: str) -> Sequence[object]:
        """The passages behind one, by way of an agent that is deleted again.

        No model is ever called, but an agent cannot be made without one.
        """
        agents = self._client.agents
        made = agents.create(
            name=f"openmem-{uuid.uuid4().hex}",
            include_base_tools=False,
            memory_blocks=[],
            llm_config={"model": "none", "model_endpoint_type": "openai", "context_window": 8192},
        )
        agent = self.field(made, "id", str)
        try:
            agents.archives.attach(archive_id, agent_id=agent)
            found: dict[str, object] = {}
            while True:
                answer = agents.passages.list(agent, after=after, limit=PAGE_SIZE, ascending=True)
                page = {self.field(passage, "id", str): passage for passage in self.of_kind(answer, "passages", list)}
                if page.keys() & found.keys():
                    raise self.malformed("the same passages twice")
                found |= page
                if len(page) < PAGE_SIZE:
                    return list(found.values())
                after = list(page)[-1]
        finally:
            agents.delete(agent)

    async def _similar(self, archive: Archive, query: str, count: int) -> tuple[Sequence[Candidate], bool]:
        """What Letta finds by the vector of a query, and whether that is all there is."""
        answer = await self.call(
            self._client.passages.search, query=query, archive_id=archive.id, limit=count, changes=False
        )
        found = self._found(answer, archive.id)
        reached_all = len(found) < count
        if archive.searches_itself or all(_is_ours(passage) for passage, _ in found):
            return [
                Candidate(self._stored(passage, archive), details=details) for passage, details in found
            ], reached_all
        whole: dict[str, Stored] = {}
        async with aclosing(self._walk(archive.id)) as pages:
            async for page in pages:
                whole |= {self.field(passage, "id", str): self._stored(passage, archive) for passage in page}
        ids = [(self.field(passage, "id", str), details) for passage, details in found]
        return [Candidate(whole[id], details=details) for id, details in ids if id in whole], reached_all

    async def _alike(self, archive: Archive, query: str) -> Sequence[Candidate]:
        """The passages with words of a query, ranked by how many letters these have."""
        wanted = set(_WORD.findall(query.casefold()))
        found: dict[str, tuple[int, datetime, Stored]] = {}
        async with aclosing(self._walk(archive.id)) as pages:
            async for page in pages:
                for passage in page:
                    stored = self._stored(passage, archive)
                    shared = wanted.intersection(_WORD.findall(stored.core.content.casefold()))
                    if shared:
                        weight = sum(len(word) for word in shared)
                        found[stored.core.id] = (weight, stored.core.created_at, stored)
        best = sorted(found.values(), key=lambda entry: entry[:2], reverse=True)
        return [Candidate(stored) for _, _, stored in best]

    def _found(self, answer: object, archive_id: str) -> Sequence[tuple[object, Mapping[str, Any] | None]]:
        """The passages of a search's answer, each with what else the answer tells of it."""
        found = []
        for item in self.of_kind(answer, "results", list):
            passage = self.field(item, "passage", object)
            self._check_archive(passage, archive_id)
            found.append((passage, self.optional(item, "metadata", dict)))
        return found

    def _check_archive(self, passage: object, archive_id: str) -> None:
        if self.field(passage, "archive_id", str) != archive_id:
            raise self.malformed("a passage of another archive; it was withheld")

    def _stored(self, passage: object, archive: Archive) -> Stored:
        self._check_archive(passage, archive.id)
        created_at = self.field(passage, "created_at", datetime)
        passage_id = self.field(passage, "id", str)
        is_ours = _is_ours(passage)
        beyond = {name: getattr(passage, name, None) for name in _BEYOND}
        beyond |= {"archive_id": archive.id, "passage_id": passage_id}
        try:
            id = str(PassageId(archive.id, passage_id, created_at))
        except ValueError:
            raise self.malformed("an id that is no archive's or passage's") from None
        stored = self.stored(
            id=id,
            content=self.field(passage, "text", str),
            user_id=archive.user_id,
            metadata=self.optional(passage, "metadata", dict),
            created_at=created_at,
            updated_at=self.optional(passage, "updated_at", datetime),
            beyond=None if is_ours else beyond,
        )
        told: dict[str, Any] = {}
        config = self.optional(passage, "embedding_config", object)
        if config is not None:
            told["embedding_model"] = self.optional(config, "embedding_model", str)
        if not is_ours:
            tags = self.optional(passage, "tags", list) or ()
            told["tags"] = [self.of_kind(tag, "tags", str) for tag in tags] or None
        return replace(stored, core=stored.core.model_copy(update=told))


def _is_ours(passage: object) -> bool:
    metadata = getattr(passage, "metadata", None)
    return isinstance(metadata, Mapping) and ENVELOPE in metadata


def _uuid_in(id: str, kind: str) -> bytes:
    prefix, _, rest = id.partition("-")
    parsed = uuid.UUID(rest)
    if prefix != kind or str(parsed) != rest or parsed.version != 4:
        raise ValueError(f"{id!r} is not '{kind}-' and a random UUID")
    return parsed.bytes


def _check_model(options: Mapping[str, Any]) -> dict[str, Any]:
    """The embedding model of new archives, as the arguments of the SDK."""
    given = {name: value for name, value in options.items() if value is not None}
    if len(given) > 1:
        raise InvalidRequestError("embedding and embedding_config are two ways to name one model; pass only one")
    for name, kind in (("embedding", str), ("embedding_config", Mapping)):
        value = given.get(name)
        if value is not None and (not isinstance(value, kind) or not value):
            raise InvalidRequestError(f"{name}: {value!r} is not a {kind.__name__.lower()} that names a model")
    return given


def _url_of(config: ClientConfig) -> str:
    """Where Letta is: from the constructor, else from the environment, else the hosted service."""
    url = endpoint(config)
    if url is not None:
        return url
    from_environment = os.environ.get(URL_VARIABLE, "").strip()
    return check_url(URL_VARIABLE, from_environment) if from_environment else HOSTED_URL
