"""What is remembered of the users whose memories an index finds."""

from __future__ import annotations

from openmem.ports.postgres import ServerCache
from openmem.providers.postgres.retrieval.retriever import MAX_LARGE_USERS, LargeUsers


def test_it_is_forgotten_with_what_else_is_known_of_a_database() -> None:
    cache = ServerCache()
    cache.of(LargeUsers).add(("openmem", "maya"))
    assert ("openmem", "maya") in cache.of(LargeUsers)
    assert ("another", "maya") not in cache.of(LargeUsers)
    cache.forget()
    assert ("openmem", "maya") not in cache.of(LargeUsers)


def test_it_is_bounded() -> None:
    users = LargeUsers()
    for number in range(MAX_LARGE_USERS):
        users.add(("openmem", str(number)))
    assert ("openmem", "0") in users
    users.add(("openmem", "one more"))
    assert ("openmem", "one more") in users
    assert ("openmem", "0") not in users
