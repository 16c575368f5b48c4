"""What models want before a query and before a document, as they were trained with it."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from ._settings import check_text


class Prefixes(NamedTuple):
    """What is put before a text.

    Attributes:
        query: before what is searched for.
        document: before what is stored.
    """

    query: str = ""
    document: str = ""


_SEARCH: Final = "Represent this sentence for searching relevant passages: "
_TASK: Final = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"

_BY_FAMILY: Final = (
    (r"(multilingual-)?e5-.*instruct", Prefixes(f"{_TASK} ")),
    (r"(multilingual-)?e5-", Prefixes("query: ", "passage: ")),
    (r"bge-(small|base|large)-zh", Prefixes("为这个句子生成表示以用于检索相关文章：")),  # noqa: RUF001 - as trained
    (r"bge-((small|base|large)(-en|$)|(small|base|large):)", Prefixes(_SEARCH)),
    (r"mxbai-embed-large", Prefixes(_SEARCH)),
    (r"snowflake-arctic-embed(-[lm]-v2|2)", Prefixes("query: ")),
    (r"snowflake-arctic-embed", Prefixes(_SEARCH)),
    (r"nomic-embed-text", Prefixes("search_query: ", "search_document: ")),
    (r"embeddinggemma", Prefixes("task: search result | query: ", "title: none | text: ")),
    (r"qwen3-embedding", Prefixes(_TASK)),
    (r"gte-qwen", Prefixes(f"{_TASK} ")),
)
"""By how the last part of a model's name begins; the first that fits counts."""


def prefixes_of(model: str, query: Any = None, document: Any = None) -> Prefixes:
    """The prefixes of a model, known by its name in any service or library.

    Args:
        query: used instead of what is known; None to use that.
        document: the same for documents.
    """
    # LM Studio puts the kind of model before the name.
    name = re.split(r"[/\\]", model.rstrip("/\\"))[-1].lower().removeprefix("text-embedding-")
    known = next((prefixes for family, prefixes in _BY_FAMILY if re.match(family, name)), Prefixes())
    return Prefixes(
        known.query if query is None else check_text("query_prefix", query),
        known.document if document is None else check_text("document_prefix", document),
    )
