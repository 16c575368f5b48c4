"""Letta: the memories of a user are the passages of an archive of that user.

A passage can be made, found and deleted, and not be changed, so there is no `update`, and nothing
that would have to end another memory. Letta cannot give a passage by its id either; it can give those
of one moment. So the id of a memory here holds the ids of archive and passage, and the moment.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from ....config import ClientConfig
from ....errors import InvalidRequestError, UnsupportedCapabilityError
from ....models import CapabilityLimits, MemoryRecord
from ....operations import Search
from ....ports import Ports
from ....selection import Selection
from ...base import Provider
from ..answers import pick
from ..backend import Candidate, Candidates
from ..base import FEATURES, VendorProvider
from ..envelope import Stored, encode, is_enveloped
from ..settings import check_endpoint, endpoint
from ..words import shared_letters, words_of
from .archives import Archive, Archives
from .ids import PassageId

if TYPE_CHECKING:
    from .sdk import LettaClient

API_KEY_VARIABLE: Final = "LETTA_API_KEY"
URL_VARIABLE: Final = "LETTA_BASE_URL"
HOSTED_URL: Final = "https://api.letta.com"
PAGE_SIZE: Final = 100
"""Passages in one answer of Letta, at most."""

_VENDOR_FIELDS: Final = ("created_by_id", "last_updated_by_id", "file_id", "file_name", "source_id")


class LettaProvider(VendorProvider["LettaClient"]):
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
    sdk_module = "openmem.providers.vendors.letta.sdk"
    options = frozenset({"embedding", "embedding_config"})
    limits = CapabilityLimits(max_search_results=PAGE_SIZE)
    max_candidates = PAGE_SIZE
    update = Provider.update
    history = Provider.history

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        self._model = _check_model(config.options)
        self._url = _url_of(config)
        self._key = self.read_api_key(API_KEY_VARIABLE)
        if self._key is None and self._url == HOSTED_URL:
            raise InvalidRequestError(
                f"api_key: Letta's hosted service needs one, also from {API_KEY_VARIABLE}; "
                f"for a server of your own pass base_url, also from {URL_VARIABLE}"
            )
        self.features = FEATURES.model_copy(update={"vector_search": bool(self._model), "scores": "rank"})

    def connect(self, module: ModuleType) -> LettaClient:
        client: LettaClient = module.LettaClient(self._key, self._url, self.timeout)
        return client

    async def ping(self) -> None:
        await self.call("ping", self.sdk.ping, mutates=False)

    async def insert(self, draft: MemoryRecord) -> MemoryRecord:
        archives = await self._archives.of_user(draft.user_id) or await self._archives.create(draft.user_id)
        answer = await self.call(
            "add",
            self.sdk.create_passage,
            archives[0].id,
            draft.content,
            draft.created_at,
            encode(draft),
            list(dict.fromkeys(draft.tags or ())),
            mutates=True,
        )
        return self._stored(answer, archives[0]).shown

    async def fetch(self, id: str) -> Stored | None:
        wanted = PassageId.parse(id)
        if wanted is None:
            return None
        async with aclosing(self._walk("get", wanted.archive, wanted.created_at, wanted.created_at)) as pages:
            async for page in pages:
                for passage in page:
                    if self.answers.field(passage, "id", str) == wanted.passage:
                        archive = await self._archives.get(wanted.archive)
                        return None if archive is None else self._stored(passage, archive)
        return None

    async def remove(self, stored: Stored) -> None:
        id = PassageId.parse(stored.record.id)
        assert id is not None
        await self.call("delete", self.sdk.delete_passage, id.archive, id.passage, mutates=True, of=stored.record.id)

    async def pages(
        self, user_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncGenerator[Iterable[Stored], None]:
        for archive in await self._archives.of_user(user_id):
            async with aclosing(self._walk("list", archive.id, since, until)) as pages:
                async for page in pages:
                    yield [self._stored(passage, archive) for passage in page]

    async def candidates(self, op: Search, selection: Selection, count: int) -> Candidates:
        rankings = []
        complete = True
        for archive in await self._archives.of_user(op.user_id):
            if archive.embeds:
                ranking, reached_all = await self._rank_by_vectors(archive, op.query, count)
                complete = complete and reached_all
            else:
                ranking = await self._rank_by_words(archive, op.query, selection)
            rankings.append(ranking)
        merged = [candidate for rank in itertools.zip_longest(*rankings) for candidate in rank if candidate is not None]
        return Candidates(merged[:count], complete and len(merged) <= count)

    @property
    def _archives(self) -> Archives:
        return Archives(self.call, self.sdk, self.answers, self._model)

    async def _walk(
        self, label: str, archive_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncGenerator[Sequence[object], None]:
        """The passages of an archive, the oldest first, of which some may come twice.

        Letta gives the first hundred from a moment on. The last moment of them is where the next
        hundred begin, unless all are of one moment, which is what a batch of other tools can be.

        Raises:
            UnsupportedCapabilityError: the next hundred have one moment, so that Letta cannot be asked for the rest.
                It would tell them to an agent, and a read must not make one.
        """
        while True:
            answer = await self.call(label, self.sdk.list_passages, archive_id, since, until, PAGE_SIZE, mutates=False)
            page = [passage for passage, _ in self._found(answer, archive_id)]
            moments = [self.answers.field(passage, "created_at", datetime) for passage in page]
            if moments != sorted(moments) or (since is not None and moments and moments[0] < since):
                raise self.errors.malformed("passages that are not in order of time")
            yield page
            if len(page) < PAGE_SIZE:
                return
            if moments[0] == moments[-1]:
                raise UnsupportedCapabilityError(
                    f"archive {archive_id!r} has {PAGE_SIZE} or more passages of one moment, {moments[0].isoformat()}, "
                    "which another tool wrote in one batch; Letta pages by time and cannot tell what comes after them"
                )
            since = moments[-1]

    async def _rank_by_vectors(self, archive: Archive, query: str, count: int) -> tuple[Sequence[Candidate], bool]:
        """What Letta finds by the vector of a query, and whether that is all there is."""
        answer = await self.call("search", self.sdk.search, archive.id, query, count, mutates=False)
        found = self._found(answer, archive.id)
        reached_all = len(found) < count
        if archive.searches_itself or all(_is_ours(passage) for passage, _ in found):
            return [
                Candidate(self._stored(passage, archive), details=details) for passage, details in found
            ], reached_all
        whole: dict[str, Stored] = {}
        async with aclosing(self._walk("search", archive.id)) as pages:
            async for page in pages:
                whole |= {self.answers.field(passage, "id", str): self._stored(passage, archive) for passage in page}
        ids = [(self.answers.field(passage, "id", str), details) for passage, details in found]
        return [Candidate(whole[id], details=details) for id, details in ids if id in whole], reached_all

    async def _rank_by_words(self, archive: Archive, query: str, selection: Selection) -> Sequence[Candidate]:
        """The selected passages with words of a query, ranked by how many letters these have."""
        wanted, now = words_of(query), self.ports.now()
        found: dict[str, tuple[int, datetime, Stored]] = {}
        async with aclosing(self._walk("search", archive.id, selection.since, selection.until)) as pages:
            async for page in pages:
                for passage in page:
                    stored = self._stored(passage, archive)
                    weight = shared_letters(wanted, stored.record.content)
                    if weight and selection.matches(stored.record, now):
                        found[stored.record.id] = (weight, stored.record.created_at, stored)
        best = sorted(found.values(), key=lambda entry: entry[:2], reverse=True)
        return [Candidate(stored) for _, _, stored in best]

    def _found(self, answer: object, archive_id: str) -> Sequence[tuple[object, Mapping[str, Any] | None]]:
        """The passages of a search's answer, each with what else the answer says about it."""
        found = []
        for item in self.answers.expect(answer, "results", list):
            passage = self.answers.field(item, "passage", object)
            self._check_archive(passage, archive_id)
            found.append((passage, self.answers.optional(item, "metadata", dict)))
        return found

    def _check_archive(self, passage: object, archive_id: str) -> None:
        if self.answers.field(passage, "archive_id", str) != archive_id:
            raise self.errors.malformed("a passage of another archive; it was withheld")

    def _stored(self, passage: object, archive: Archive) -> Stored:
        """The memory in a passage."""
        self._check_archive(passage, archive.id)
        created_at = self.answers.field(passage, "created_at", datetime)
        passage_id = self.answers.field(passage, "id", str)
        is_ours = _is_ours(passage)
        ids = {"archive_id": archive.id, "passage_id": passage_id}
        try:
            id = str(PassageId(archive.id, passage_id, created_at))
        except ValueError:
            raise self.errors.malformed("an id that is no archive's or passage's") from None
        stored = self.envelopes.decode(
            id=id,
            content=self.answers.field(passage, "text", str),
            user_id=archive.user_id,
            metadata=self.answers.optional(passage, "metadata", dict),
            created_at=created_at,
            updated_at=self.answers.optional(passage, "updated_at", datetime),
            vendor_fields=None if is_ours else pick(passage, _VENDOR_FIELDS) | ids,
        )
        extra: dict[str, Any] = {}
        config = self.answers.optional(passage, "embedding_config", object)
        if config is not None:
            extra["embedding_model"] = self.answers.optional(config, "embedding_model", str)
        if not is_ours:
            tags = self.answers.optional(passage, "tags", list) or ()
            extra["tags"] = [self.answers.expect(tag, "tags", str) for tag in tags] or None
        return dataclasses.replace(stored, record=stored.record.model_copy(update=extra))


def _is_ours(passage: object) -> bool:
    return is_enveloped(getattr(passage, "metadata", None))


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
    return check_endpoint(URL_VARIABLE, from_environment) if from_environment else HOSTED_URL
