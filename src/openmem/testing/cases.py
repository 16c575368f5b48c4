"""What the tests feed to the verbs: valid calls, calls that must be refused, and awkward text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from datetime import timezone as fixed_offset
from typing import Any, Final

VALID: Final[dict[str, dict[str, Any]]] = {
    "add": {"content": "likes green tea", "user_id": "u"},
    "add_many": {"records": [{"content": "likes green tea", "user_id": "u"}]},
    "get": {"id": "mem_unknown"},
    "update": {"id": "mem_unknown", "confidence": 0.5},
    "delete": {"id": "mem_unknown"},
    "list": {"user_id": "u"},
    "search": {"query": "tea", "user_id": "u"},
    "context": {"query": "tea", "user_id": "u"},
    "audit": {"user_id": "u"},
    "wait_for_ingest": {"ids": ["mem_unknown"], "user_id": "u"},
    "put": {"key": "tea", "content": "likes green tea", "user_id": "u"},
    "get_by_key": {"key": "tea", "user_id": "u"},
    "delete_many": {"user_id": "u", "ids": ["mem_unknown"]},
    "count": {"user_id": "u"},
    "facets": {"user_id": "u", "by": "scope"},
    "history": {"id": "mem_unknown"},
    "users": {},
    "forget_user": {"user_id": "u"},
    "restore": {"records": []},
    "purge": {},
}

SELECTING: Final = ("list", "search", "context", "count", "facets", "delete_many")
"""Verbs that select memories of a user."""

NOTHING: Final[dict[str, dict[str, Any]]] = {
    "add_many": {"records": []},
    "wait_for_ingest": {"ids": [], "user_id": "u"},
}
"""Calls that change nothing, of the verbs that capabilities do not tell of."""

FEATURE_USES: Final[dict[str, list[tuple[str, dict[str, Any]]]]] = {
    "scopes": [
        ("add", {"scope": "coding"}),
        ("list", {"scope": "coding"}),
        ("search", {"scope": "coding"}),
        ("context", {"scope": "coding"}),
    ],
    "temporal": [
        ("add", {"valid_from": datetime(2024, 1, 1, tzinfo=UTC)}),
        ("add", {"valid_to": datetime(2024, 1, 1, tzinfo=UTC)}),
    ],
    "audit_pages": [("audit", {"cursor": "W10"})],
    "supports_supersession": [("add", {"supersedes": ["mem_unknown"]})],
    "recency": [("search", {"recency": 86_400}), ("context", {"recency": timedelta(days=30)})],
    "metadata": [
        ("add", {"metadata": {"n": 9}}),
        ("update", {"metadata": {"n": 9}}),
        *((verb, {"where": {"n": 9}}) for verb in ("list", "search", "context")),
    ],
    "filters": [
        *(
            (verb, selector)
            for verb in ("list", "search", "context")
            for selector in (
                {"scope": ["a", "b"]},
                {"scope": "a/**"},
                {"tags": ["a"]},
                {"any_tags": ["a"]},
                {"app": "a"},
                {"as_of": datetime(2024, 1, 1, tzinfo=UTC)},
            )
        ),
        *(
            (verb, {name: datetime(2024, 1, 1, tzinfo=UTC)})
            for verb in ("search", "context")
            for name in ("since", "until")
        ),
        *(("list", {"order": order}) for order in ("oldest", "updated")),
    ],
    "keys": [("add", {"key": "tea"})],
    "versions": [("update", {"if_version": 1}), ("delete", {"if_version": 1})],
    "expiry": [("add", {"expires_at": datetime(9000, 1, 1, tzinfo=UTC)})],
    "unindexed": [("add", {"indexed": False})],
    "explanations": [("search", {"explain": True})],
}

HOSTILE: Final[dict[str, str]] = {
    "quotes": """it's "quoted", `ticked`; DROP TABLE memories; --""",
    "like": r"100%_\%\_\\",
    "placeholders": "$1 $2 {x} {} %s %(name)s :name ?",
    "tsquery": "tea & !(coffee | milk):* <-> 'x",
    "json": '{"a": [1, null], "x-mem0": "\\u0041"}',
    "markup": "<script>alert(1)</script> &amp; [mem_0000] ```",
    "right-to-left": "שלום עולם مرحبا \u202eabc\u202c",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 🫠 é e\u0301",
    "cjk": "用户喜欢绿茶 ユーザー",
    "invisible": "a\u200bb\ufeffc\u00a0d\u2028e\x01\x7f",
    "lines": "one\ntwo\r\nthree\tfour",
    "long word": "x" * 500,
    "a number": "2024",
    "a number with zeros": "007",
    "a decimal number": "-1.50",
    "a number with an exponent": "1e5",
    "a truth value": "true",
    "nothing": "null",
    "a list": "[1]",
    "escapes": "50% %2B a+b&c=d;e#f?g %ZZ",
}

QUERIES: Final[dict[str, str]] = {
    "stop word": "the",
    "punctuation": "?!",
    "emoji": "🙂",
    "long word": "x" * 3000,
    "many words": "a1 b2 " * 2000,
    "tsquery": "tea:* | !cats & 'x",
    "invisible": "\u200b",
}

SCOPES: Final = ("coding", "coding/python", "coding/python/style", "coding2", "Coding", "a%b", "aXb", "a_c/d", "aXc/d")

CORPUS: Final = (
    "The user prefers dark mode in every editor",
    "Her sister Anna lives in Lisbon and keeps three cats",
    "The quarterly report is due on the first Monday of April",
    "He is allergic to peanuts and shellfish",
    "They are learning to play the cello on weekends",
    "Invoice 8421377 was paid through the Zwischenzug account",
)

HALVES: Final = "\ud83d\ude00"
"""A character as two surrogates, which is what JSON that was decoded half-way has."""
WHOLE: Final = "\U0001f600"

_BAD_RECORDS: Final[tuple[Any, ...]] = (
    "a text",
    5,
    {"content": "likes green tea", "user_id": "u"},
    [5],
    ["a text"],
    [{}],
    [{"content": "likes green tea", "user_id": "u"}, {"content": " ", "user_id": "u"}],
    [{"content": "likes green tea", "user_id": "u", "nonsense": 1}],
)

_BAD_TEXTS: Final[dict[str, Any]] = {
    "empty": "",
    "blank": " \t\n\u3000",
    "nul": "a\0b",
    "lone surrogate": "a\ud800b",
    "half a pair": "\ud83d\ude00\ud83d",
    "halves in the wrong order": "\ude00\ud83d",
    "bytes": b"abc",
    "number": 5,
}

_TEXT_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "add": ("content", "user_id", "scope", "key", "idempotency_key"),
    "get": ("id", "user_id"),
    "update": ("id", "content", "scope", "user_id"),
    "delete": ("id", "user_id"),
    "list": ("user_id", "scope", "tag", "app"),
    "search": ("query", "user_id", "scope", "app"),
    "context": ("query", "user_id", "scope", "app"),
    "audit": ("user_id", "app"),
    "wait_for_ingest": ("user_id",),
    "put": ("key", "content", "user_id", "scope"),
    "get_by_key": ("key", "user_id", "scope"),
    "delete_many": ("user_id", "scope", "app"),
    "count": ("user_id", "scope", "app"),
    "facets": ("user_id", "by", "scope", "app"),
    "history": ("id", "user_id"),
    "users": ("prefix",),
    "forget_user": ("user_id",),
}
_UNKNOWN: Final = {("update", "content", "empty"), ("update", "content", "blank")}
"""What some memories can have."""

_TEXT_LISTS: Final[dict[str, tuple[str, ...]]] = {
    "add": ("tags", "supersedes"),
    "update": ("tags", "supersedes"),
    "wait_for_ingest": ("ids",),
    "put": ("tags", "supersedes"),
    "list": ("tags", "any_tags"),
    "search": ("tags", "any_tags"),
    "context": ("tags", "any_tags"),
    "count": ("tags", "any_tags"),
    "facets": ("tags", "any_tags"),
    "delete_many": ("tags", "any_tags", "ids", "keys"),
}

_NUMBERS: Final[dict[tuple[str, str], tuple[Any, ...]]] = {
    ("list", "limit"): (0, -1, 501, 1.5, "5", True, None, 10**5000),
    ("search", "limit"): (0, 101, 10.0, "5", True, None, 10**5000),
    ("audit", "limit"): (0, 1001, True, None, 10**5000),
    ("context", "token_budget"): (0, -5, 1.5, "5", True, None, 10**5000),
    ("add", "confidence"): (-0.01, 1.01, math.nan, math.inf, "0.5", True, 10**5000),
    ("add", "content"): (10**5000,),
    ("add", "tags"): (10**5000, [10**5000]),
    ("add", "valid_from"): (10**5000,),
    ("add", "supersede_ended"): (None, "yes", 1),
    ("update", "supersede_ended"): (None, "yes", 1),
    ("update", "confidence"): (-0.01, 1.01, math.nan, "0.5", True),
    ("search", "min_score"): (-0.01, 1.01, math.nan, "0.5", True),
    ("search", "explain"): (1, "true", None),
    ("search", "recency"): (0, -1.0, 1e13, math.nan, "3600", True, timedelta(0), 10**5000),
    ("context", "recency"): (0, math.inf, "3600", True, timedelta(days=-1)),
    ("wait_for_ingest", "timeout"): (-1.0, math.nan, "5", True),
    ("add", "indexed"): (None, "yes", 1),
    ("put", "keep_history"): (None, "yes", 1),
    ("put", "if_version"): (-1, 1.5, "1", True, 10**5000),
    ("update", "if_version"): (0, -1, "1", True, 2**31),
    ("delete", "if_version"): (0, -1, "1", True),
    ("facets", "limit"): (0, 1001, "5", True, None),
    ("facets", "by"): ("user_id", "metadata", "metadata.", "metadata.a..b", "metadata.a\\b", "metadata.\0"),
    ("users", "limit"): (0, 1001, "5", True, None),
    ("list", "order"): ("best", "", None, 5),
    ("delete_many", "everything"): (None, "yes", 1),
    ("delete_many", "dry_run"): (None, "yes", 1),
}

_BEFORE_TIME: Final = datetime.min.replace(tzinfo=fixed_offset(timedelta(hours=14)))
_AFTER_TIME: Final = datetime.max.replace(tzinfo=fixed_offset(timedelta(hours=-12)))

_BAD_TIMES: Final = ("yesterday", "", "1700000000", "12:00", 5, _BEFORE_TIME, _AFTER_TIME)

_TIME_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "add": ("valid_from", "valid_to", "expires_at"),
    "update": ("valid_from", "valid_to", "expires_at"),
    "audit": ("since",),
    "purge": ("ended_before", "audit_before"),
    **dict.fromkeys(SELECTING, ("since", "until", "as_of")),
}

_BAD_SCOPES: Final = ("/", "a/", "/a", "a//b", "a/ /b", "a*", "*/a", "a/*/b", "**", "a/***", "/**", "x" * 600)
_BAD_SCOPE_LISTS: Final[tuple[Any, ...]] = ([], ["a", ""], ["a", "b*"], [5], [None], {"a": 1}, ["a"] * 129)


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


_BAD_METADATA: Final[tuple[Any, ...]] = (
    "a text",
    5,
    ["a"],
    {1: 2},
    {"a": math.nan},
    {"a": object()},
    {"a": "\0"},
    {"\ud800": 1},
    {"a": 10**640},
    {"a": "x" * 17_000},
    _nested(40),
)

BAD_FILTERS: Final[tuple[Any, ...]] = (
    "a text",
    5,
    [],
    {},
    {"": 1},
    {"a..b": 1},
    {".a": 1},
    {"a\\b": 1},
    {"$a": 1},
    {"$text": "tea"},
    {"a": {"$foo": 1}},
    {"a": {"$gt": 1, "b": 2}},
    {"a": {"$gt": None}},
    {"a": {"$gte": True}},
    {"a": {"$lt": [1]}},
    {"a": {"$in": 5}},
    {"a": {"$nin": "ab"}},
    {"a": {"$exists": 1}},
    {"$and": []},
    {"$or": {"a": 1}},
    {"$or": [5]},
    {"$or": [{}]},
    {"$not": [{"a": 1}]},
    {"$not": {}},
    {"a": math.nan},
    {"a": {"$in": [object()]}},
    {"a\0": 1},
    {"a": {"$in": list(range(65))}},
    {"a": "x" * 17_000},
    {"$not": {"$not": {"$not": {"$not": {"$not": {"$not": {"$not": {"$not": {"a": 1}}}}}}}}},
)

INVALID_SOURCES: Final[tuple[Any, ...]] = (
    "an app",
    {"type": "guessed"},
    {"app": "a\0b"},
    {"ref": "a\ud800b"},
    {"app": 5},
    {"x": object()},
    {"x": 10**640},
    {"x": [-(10**5000)]},
)

INVALID_EXTENSIONS: Final[tuple[dict[str, Any], ...]] = (
    {"unknown": 1},
    {"x-": 1},
    {"x-Mem0": 1},
    {"x-mem0": {"a": "\0"}},
    {"x-mem0": {"\ud800": 1}},
    {"x-mem0": math.nan},
    {"x-mem0": [math.inf]},
    {"x-mem0": {1: "a"}},
    {"x-mem0": object()},
    {"x-mem0": {"a", "b"}},
    {"x-mem0": 10**640},
    {"x-mem0": [-(10**5000)]},
    {"x-mem0": {HALVES: 1, WHOLE: 2}},
)


def _refused() -> Iterator[tuple[str, str, Any]]:
    for verb, names in _TEXT_FIELDS.items():
        for name in names:
            yield from ((verb, name, bad) for kind, bad in _BAD_TEXTS.items() if (verb, name, kind) not in _UNKNOWN)
    for verb, names in _TEXT_LISTS.items():
        for name in names:
            yield from ((verb, name, [bad]) for bad in _BAD_TEXTS.values())
            yield from ((verb, name, bad) for bad in ("a string", 5, {"a": 1}))
    for (verb, name), numbers in _NUMBERS.items():
        yield from ((verb, name, number) for number in numbers)
    for verb, names in _TIME_FIELDS.items():
        for name in names:
            yield from ((verb, name, bad) for bad in _BAD_TIMES)
    for scope in _BAD_SCOPES:
        yield from ((verb, "scope", scope) for verb in ("add", "update", "put", "get_by_key", *SELECTING))
    for wildcard in ("*", "a/*", "a/**", ["a"]):
        yield from ((verb, "scope", wildcard) for verb in ("add", "update", "put", "get_by_key"))
    for scopes in _BAD_SCOPE_LISTS:
        yield from ((verb, "scope", scopes) for verb in SELECTING)
    for where in BAD_FILTERS:
        yield from ((verb, "where", where) for verb in SELECTING)
    for metadata in _BAD_METADATA:
        yield from ((verb, "metadata", metadata) for verb in ("add", "update", "put"))
    yield "update", "content", None
    yield from ((verb, "records", records) for records in _BAD_RECORDS for verb in ("add_many", "restore"))
    yield from (("add", "source", source) for source in INVALID_SOURCES)
    yield from (("add", next(iter(extension)), extension) for extension in INVALID_EXTENSIONS)


def refused_calls() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Calls that must be refused before anything is sent, as (verb, name of the field, arguments)."""
    for verb, name, value in _refused():
        changed = value if isinstance(value, dict) and name in value else {name: value}
        yield verb, name, VALID[verb] | changed
    year = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
    yield "add", "valid_to", VALID["add"] | {"valid_from": year[1], "valid_to": year[0]}
    yield "update", "update", {"id": "mem_unknown"}
    yield "update", "supersedes", {"id": "mem_unknown", "supersedes": ["mem_unknown"]}
    yield "delete_many", "everything", {"user_id": "u"}
    yield "delete_many", "everything", {"user_id": "u", "dry_run": True}
    selectors: list[dict[str, Any]] = [
        {"scope": "a"},
        {"tags": ["a"]},
        {"where": {"a": 1}},
        {"ids": []},
        {"as_of": year[0]},
    ]
    for selector in selectors:
        yield "delete_many", "everything", {"user_id": "u", "everything": True, **selector}
    restored = {"id": "mem_1", "content": "tea", "user_id": "u", "created_at": year[0]}
    for wrong in ({"id": ""}, {"created_at": "yesterday"}, {"version": 0}, {"version": "1"}, {"nonsense": 1}):
        yield "restore", "records", {"records": [restored, {**restored, **wrong}]}


READS: Final = ("get", "list", "search", "context", "audit", "count", "facets", "history")
