"""Writes the statements that openmem sends into docs/sql, as files for psql.

``sql.py`` rewrites the directory; ``sql.py --check`` fails if it is not current. The statements are those that
`Statements` has in its catalog, for the schema ``openmem``, pgvector in ``public`` and ``audit="all"``.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Final

from openmem.analysis import VERSION, QueryWord
from openmem.ports.postgres import Query
from openmem.providers.postgres.lexemes import counted_values, lexeme_id, mask_values, terms_literal
from openmem.providers.postgres.migrations import MIGRATIONS
from openmem.providers.postgres.statements import Statements

DIRECTORY: Final = Path(__file__).resolve().parent.parent / "docs" / "sql"

# A memory of the user "maya", whose bucket is at the end of the id.
BUCKET: Final = 677
ID: Final = "'mem_6b1f000000000000n5'"
NEW_ID: Final = "'mem_6b1g000000000000n5'"
TERMS: Final = f"'{terms_literal(sorted(map(lexeme_id, ('move', 'porto'))))}'"
VECTOR: Final = "array_fill(0.1::real, ARRAY[256])"

FUNCTION: Final = re.compile(r"((?:--[^\n]*\n)*)(CREATE FUNCTION openmem\.(\w+)\(.*?\$body\$.*?\$body\$;)", re.S)

WORDS: Final = (QueryWord(("maya",)), QueryWord(("live",)))

# By the name of a parameter, an expression; by the name of a type, that of parameters that are not named here.
SAMPLES: Final = {
    "action": "'add'",
    "after_id": "''",
    "analysis": str(VERSION),
    "buckets": f"ARRAY[{BUCKET}]",
    "bucket": str(BUCKET),
    "changes": "ARRAY['content', 'tags']",
    "content": "'I moved to Porto'",
    "everything": "false",
    "earlier": "''",
    "embedding_model": "'hashing:256'",
    "embeddings": "ARRAY['[0.1, 0.2]']",
    "fingerprint": "'a digest of what is added'",
    "id": ID,
    "ids": f"ARRAY[{ID}]",
    "idempotency_key": "'a digest of the idempotency key'",
    "indexed": "true",
    "keep_history": "false",
    "key": "'home'",
    "keys": "ARRAY['home']",
    "later": "''",
    "limit": "10",
    "model": "'hashing:256'",
    "only_indexed": "true",
    **{name: "NULL" if value is None else f"'{value}'" for name, value in mask_values(WORDS).items()},
    **{name: f"ARRAY{value}" for name, value in counted_values(WORDS).items()},
    "request_id": "'a request'",
    "scopes": "ARRAY[NULL]",
    "source": """'{"app": "demo"}'""",
    "strata": "100",
    "stratum_rows": "4",
    "supersede_ended": "false",
    "tags": "ARRAY['home']",
    "terms": TERMS,
    "user_id": "'maya'",
    "user_ids": "ARRAY['maya']",
    "valid_from": "NULL",
    "verb": "'search'",
    "was_seen": "false",
    "with_content": "true",
    "written_at": "ARRAY[now()]",
}
SAMPLES_OF_TYPES: Final = {"halfvec": VECTOR}
SAMPLES_OF_STATEMENTS: Final = {
    "add": {"id": NEW_ID, "key": "NULL"},
    "add_once": {"id": NEW_ID, "key": "NULL", "supersedes": f"ARRAY[{ID}]"},
    "add_superseding": {"id": NEW_ID, "key": "NULL", "supersedes": f"ARRAY[{ID}]"},
    "close_superseded": {"supersedes": f"ARRAY[{ID}]", "valid_from": "ARRAY[now()]"},
    "free_keys": {"ids": f"ARRAY[{NEW_ID}]"},
    "put": {"action": "'put'", "id": NEW_ID},
    "store_terms": {"terms": f"ARRAY[{TERMS}]"},
    "update": {"supersedes": "'{}'"},
}


def page(name: str, query: Query) -> str:
    """The file of a statement."""
    return (
        "-- Made by tools/sql.py; what is changed here is lost.\n"
        f"{''.join(_setting(name, parameter, query) for parameter in query.parameters)}\n"
        f"BEGIN;\n\n{query.text.strip()};\n\nROLLBACK;\n"
    )


def pages() -> dict[str, str]:
    """The files, by their names."""
    statements = Statements("openmem", "public", "all")
    for statement in ("search_exact", "search_indexed"):
        for are_long in (False, True):
            statements.searches.explained(statement, are_long)
    queries = statements.catalog.queries
    return {f"{name}.sql": page(name, queries[name]) for name in sorted(queries)} | functions()


def functions() -> dict[str, str]:
    """The files of the functions that statements call."""
    found = {}
    for step in MIGRATIONS:
        for comment, definition, name in FUNCTION.findall(step.script("openmem", "public")):
            if comment:
                text = f"{comment}{definition}".replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)
                found[f"functions/{name}.sql"] = f"-- Made by tools/sql.py; what is changed here is lost.\n\n{text}\n"
    return found


def _setting(statement: str, parameter: str, query: Query) -> str:
    """A line that gives a parameter a value in psql."""
    samples = SAMPLES | SAMPLES_OF_STATEMENTS.get(statement, {})
    cast = re.search(rf":{parameter}::(?:\w+\.)?(\w+)", query.text)
    value = samples.get(parameter) or SAMPLES_OF_TYPES.get(cast[1] if cast else "", "NULL")
    quoted = value if re.fullmatch(r"\w+", value) else "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    return f"\\set {parameter} {quoted}\n"


def main() -> None:
    """Rewrite or check the directory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail if the directory is not current")
    options = parser.parse_args()
    fresh = pages()
    current = {
        path.relative_to(DIRECTORY).as_posix(): path.read_text(encoding="utf-8") for path in DIRECTORY.rglob("*.sql")
    }
    stale = sorted(name for name in fresh.keys() | current.keys() if fresh.get(name) != current.get(name))
    if options.check:
        if stale:
            sys.exit(f"docs/sql is not current ({', '.join(stale)}); run: python tools/sql.py")
        return
    for name in stale:
        if name in fresh:
            (DIRECTORY / name).parent.mkdir(exist_ok=True)
            (DIRECTORY / name).write_text(fresh[name], encoding="utf-8")
        else:
            (DIRECTORY / name).unlink()


if __name__ == "__main__":
    main()
