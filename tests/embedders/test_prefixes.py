from __future__ import annotations

import pytest

from openmem.embedders._prefixes import prefixes_of

SEARCH = ("Represent this sentence for searching relevant passages: ", "")
TASK = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"


@pytest.mark.parametrize(
    ("model", "prefixes"),
    [
        ("intfloat/multilingual-e5-small", ("query: ", "passage: ")),
        ("e5-large-v2", ("query: ", "passage: ")),
        ("/models/multilingual-e5-base/", ("query: ", "passage: ")),
        ("C:\\models\\multilingual-e5-base", ("query: ", "passage: ")),
        ("multilingual-e5-small-Q8_0.gguf", ("query: ", "passage: ")),
        ("intfloat/multilingual-e5-large-instruct", (f"{TASK} ", "")),
        ("intfloat/e5-mistral-7b-instruct", (f"{TASK} ", "")),
        ("BAAI/bge-small-en-v1.5", SEARCH),
        ("bge-large", SEARCH),
        ("bge-large:335m", SEARCH),
        ("bge-m3", ("", "")),
        ("bge-reranker-base", ("", "")),
        ("BAAI/bge-base-zh-v1.5", ("为这个句子生成表示以用于检索相关文章：", "")),  # noqa: RUF001 - as trained
        ("mxbai-embed-large:latest", SEARCH),
        ("snowflake/snowflake-arctic-embed-m-v1.5", SEARCH),
        ("snowflake-arctic-embed:22m", SEARCH),
        ("Snowflake/snowflake-arctic-embed-l-v2.0", ("query: ", "")),
        ("snowflake-arctic-embed2:568m", ("query: ", "")),
        ("nomic-embed-text", ("search_query: ", "search_document: ")),
        ("text-embedding-nomic-embed-text-v1.5", ("search_query: ", "search_document: ")),
        ("nomic-ai/nomic-embed-text-v2-moe", ("search_query: ", "search_document: ")),
        ("embeddinggemma", ("task: search result | query: ", "title: none | text: ")),
        ("Qwen/Qwen3-Embedding-0.6B", (TASK, "")),
        ("qwen3-embedding:4b", (TASK, "")),
        ("Alibaba-NLP/gte-Qwen2-1.5B-instruct", (f"{TASK} ", "")),
        ("thenlper/gte-large", ("", "")),
        ("text-embedding-3-small", ("", "")),
        ("sentence-t5-base", ("", "")),
        ("all-minilm", ("", "")),
        ("e5", ("", "")),
    ],
)
def test_prefixes_are_known_by_the_models_name(model: str, prefixes: tuple[str, str]) -> None:
    assert prefixes_of(model) == prefixes


def test_each_can_be_replaced() -> None:
    assert prefixes_of("e5-small", query="") == ("", "passage: ")
    assert prefixes_of("e5-small", document="text: ") == ("query: ", "text: ")
