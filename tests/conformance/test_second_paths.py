"""The same verbs on their other ways: reads from a replica, contexts counted and results reranked by the client."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

import psycopg
import pytest

from openmem.testing import ConformanceSuite, requires
from openmem.testing.contracts.context import ContextContract
from openmem.testing.contracts.expiry import ExpiryContract, UnindexedContract
from openmem.testing.contracts.grants import GrantsContract
from openmem.testing.contracts.metadata import MetadataContract
from openmem.testing.contracts.search import SearchContract
from openmem.testing.contracts.selection import SelectionContract
from openmem.testing.contracts.selectors import SelectorsContract
from openmem.testing.contracts.supersession import SupersessionContract
from openmem.testing.contracts.text import TextContract

from ..http.test_conformance import OverHttp
from ..servers import Server, Standby
from .one_mode import AsyncOnly, BlockingOnly


class TestReplica(AsyncOnly, ConformanceSuite):
    """A write returns once the replica has it too, as ``synchronous_commit = remote_apply`` promises."""

    url: ClassVar[str]
    replica_url: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Iterator[None]:
        primary = Server()
        primary.start()
        try:
            standby = Standby(primary)
            try:
                with psycopg.connect(primary.url(), autocommit=True) as admin:
                    admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                    admin.execute("ALTER SYSTEM SET synchronous_commit = remote_apply")
                    admin.execute("SELECT pg_reload_conf()")
                cls.url = primary.create_database()
                cls.replica_url = standby.url(cls.url)
                yield
            finally:
                standby.remove()
        finally:
            primary.remove()

    def make(self, **settings: Any) -> dict[str, Any]:
        return {"url": self.url, "replica_url": self.replica_url, "embedder": "hashing", **settings}


class WordsInCommon:
    """A reranker that counts the words that a text shares with the query."""

    model = "words-in-common"

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        wanted = words(query)
        return [len(wanted & words(text)) / (1 + len(wanted)) for text in texts]


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def count_words(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text))


class Contexts(
    ContextContract,
    SelectionContract,
    SelectorsContract,
    ExpiryContract,
    UnindexedContract,
    GrantsContract,
    TextContract,
):
    """What depends on who makes the text of a context; the rest takes its first path."""


class Searches(Contexts, SearchContract, MetadataContract, SupersessionContract):
    """What depends on who ranks."""


BY_RERANKER: Final = {
    "test_what_a_message_asks_counts_more_than_what_surrounds_it": "the reranker of these tests counts all words alike",
    "test_an_explanation_adds_up_to_the_score": "an explanation is of the score before the reranker",
}


class TestReranked(BlockingOnly, Searches):
    deviations = BY_RERANKER
    url: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, server: Server) -> None:
        cls.url = server.create_database()

    def make(self, **settings: Any) -> dict[str, Any]:
        return {"url": self.url, "embedder": "hashing", "reranker": WordsInCommon(), **settings}


class TestRerankedOverHttp(AsyncOnly, OverHttp, Searches):
    deviations = BY_RERANKER

    def make(self, **settings: Any) -> dict[str, Any]:
        return super().make(**{"reranker": WordsInCommon(), **settings})


class TestCounted(BlockingOnly, OverHttp, Contexts):
    """The client searches, and makes the context by itself."""

    def make(self, **settings: Any) -> dict[str, Any]:
        return super().make(**{"token_counter": count_words, **settings})

    @requires("add", "context", "audit", "supports_audit")
    async def test_a_context_leaves_the_entry_of_a_search(self) -> None:
        """The server is asked for the memories of the scope and for those below it in one search."""
        async with self.client() as client:
            await client.add(content="tea", user_id=self.user, scope="a/b")
            await client.context("tea", self.user, scope="a")
            entries = await client.audit(self.user)
        assert sorted((entry.action, entry.scope) for entry in entries) == [("add", "a/b"), ("search", "a, a/*")]
