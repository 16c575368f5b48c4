"""A guided tour of openmem on your own machine: no server, no key, no network.

An embedded PostgreSQL starts in a temporary directory and is gone afterwards.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from openmem import AsyncMemory, Memory
from openmem.drivers.local.lease import ServerLease

HERE = Path(__file__).resolve().parent
CONSOLE = Console(width=min(Console().width, 110), highlight=False)


def main() -> None:
    """Walk through the tour."""
    began = time.monotonic()
    CONSOLE.print(
        "[bold]openmem[/bold] keeps what an assistant learns about its users, and finds it again.\n"
        "This tour runs on a PostgreSQL of its own, in a temporary directory: no server, no key, no network.\n"
    )
    with (
        temporary_directory() as path,
        Memory(provider="local", path=path, app="demo") as memory,
    ):
        ids = import_memories(memory)
        ask_questions(memory, ids)
        build_prompt(memory)
        supersede(memory)
        asyncio.run(cancel(path))
        show_audit(memory)
    CONSOLE.print(f"Done in {time.monotonic() - began:.0f} s; the temporary database is gone. Where to go next:\n")
    CONSOLE.print(
        "  README.md               the same in ten lines of your own code\n"
        "  docs/async.md           AsyncMemory: FastAPI, cancellation, event loops\n"
        "  docs/postgres.md        your own PostgreSQL: roles, pools, TLS, backup\n"
        "  examples/demo/run.py    the code of this tour\n"
    )


@contextmanager
def temporary_directory() -> Iterator[str]:
    """A directory that other accounts may pass through: under root, PostgreSQL runs as one of them."""
    with tempfile.TemporaryDirectory(prefix="openmem-demo-") as path:
        Path(path).chmod(0o711)
        yield path


def heading(number: int, title: str, code: str, text: str) -> None:
    """Begin a step of the tour: what happens, and the call that does it."""
    CONSOLE.rule(f"[bold]{number}. {title}", align="left")
    CONSOLE.print()
    say(f"[cyan]{escape(code)}[/cyan]\n")
    CONSOLE.print(text + "\n")


def say(text: str) -> None:
    """Print indented text."""
    CONSOLE.print(Padding(text, (0, 0, 0, 2), expand=False))


def read(name: str) -> Iterator[dict[str, Any]]:
    """The objects in one of the data files."""
    with (HERE / name).open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def import_memories(memory: Memory) -> dict[str, str]:
    """Store the data, and return the id that each of its keys was given."""
    notes = list(read("memories.jsonl"))
    replaced = sum(len(note["supersedes"] or ()) for note in notes)
    heading(
        1,
        "Remember",
        'memory.add(content="…", user_id="mei", scope="finance", valid_from="…", supersedes=[…])',
        f"Two years of notes about three people. {replaced} of them are replaced by later ones: "
        "they stay on record, but no search finds them any more.",
    )
    ids: dict[str, str] = {}
    began = time.monotonic()
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=CONSOLE) as progress:
        for note in progress.track(notes, description="Storing notes"):
            key, supersedes = note.pop("key"), note.pop("supersedes")
            record = memory.add(**note, supersedes=[ids[old] for old in supersedes] if supersedes else None)
            ids[key] = record.id
    seconds = time.monotonic() - began
    say(f"\n{len(ids)} memories in {seconds:.1f} s, each embedded by [bold]{record.embedding_model}[/bold]\n")
    return ids


def ask_questions(memory: Memory, ids: dict[str, str]) -> None:
    """Ask every question, and mark whether the memory that answers it is among the first three."""
    heading(
        2,
        "Search",
        'memory.search("What does she charge for a day of drawing?", user_id="mei", limit=3)',
        "By meaning and by words, among what is true today. ✓1 means that the memory we hoped for came first; "
        "the score is absolute, from 0 (unrelated) to 1 (perfect match).",
    )
    table = Table(show_lines=True, expand=True)
    table.add_column("user")
    table.add_column("question", ratio=2)
    table.add_column("best answer", ratio=3)
    table.add_column("score", justify="right")
    table.add_column("", justify="center")
    found, taken = 0, []
    questions = list(read("questions.jsonl"))
    for question in questions:
        began = time.perf_counter()
        hits = memory.search(question["question"], user_id=question["user_id"], scope=question["scope"], limit=3)
        taken.append(time.perf_counter() - began)
        places = [hit.memory.id for hit in hits]
        expected = ids[question["expects"]]
        place = places.index(expected) + 1 if expected in places else None
        found += place is not None
        scope = f"\n[dim]scope {escape(question['scope'])}[/dim]" if question["scope"] else ""
        table.add_row(
            question["user_id"],
            escape(question["question"]) + scope,
            escape(hits[0].memory.content) if hits else "[dim]nothing[/dim]",
            f"{hits[0].score:.2f}" if hits else "",
            f"[green]✓{place}[/green]" if place else "[red]✗[/red]",
        )
    CONSOLE.print(table)
    typical = sorted(taken)[len(taken) // 2]
    say(f"\n{found} of {len(questions)} answers are among the first three; a search took {typical * 1000:.1f} ms\n")


def build_prompt(memory: Memory) -> None:
    """Show the text that a language model would be given."""
    question = "What can we cook for Mei, who is vegan?"
    heading(
        3,
        "Context for a prompt",
        f'memory.context("{question}", user_id="mei", token_budget=150)',
        "The best memories as text for a system prompt, each cited by its id, within a budget of tokens:",
    )
    block = memory.context(question, user_id="mei", token_budget=150)
    CONSOLE.print(Panel(escape(block.text), title=f"{block.token_count} of 150 tokens", title_align="left"))
    CONSOLE.print()


def supersede(memory: Memory) -> None:
    """Replace a fact, and search before and after."""
    question = "What does Mei charge a day for illustration?"
    heading(
        4,
        "Facts change",
        'memory.add(content="…", user_id="mei", supersedes=[old.id])',
        "A new fact ends the validity of the one it replaces, in one transaction:",
    )
    before = memory.search(question, user_id="mei", limit=1)[0].memory
    say(f"before   {escape(before.content)}")
    memory.add(
        content="As of today Mei charges 390 euros a day for illustration, plus VAT.",
        user_id="mei",
        scope=before.scope,
        supersedes=[before.id],
    )
    after = memory.search(question, user_id="mei", limit=1)[0].memory
    say(f"after    [bold]{escape(after.content)}[/bold]")
    kept = memory.get(before.id, user_id="mei")
    assert kept.valid_to is not None
    say(f"history  the old one can still be read by its id; it held until {kept.valid_to:%d %B %Y, %H:%M}\n")


async def cancel(path: str) -> None:
    """Cancel a search that the database cannot answer, and search again."""
    heading(
        5,
        "Cancel, any time",
        'async with asyncio.timeout(0.5): await memory.search("…", user_id="jonas")',
        "AsyncMemory on the same data. Another connection locks the table, so that a search must wait; after "
        "half a second it is cancelled, and the same client goes on working:",
    )
    server = ServerLease(path)
    async with AsyncMemory(provider="local", path=path, app="demo") as memory:
        with psycopg.connect(server.acquire()) as other:
            other.execute("LOCK TABLE openmem.memories IN ACCESS EXCLUSIVE MODE")
            loop = asyncio.get_running_loop()
            limit = asyncio.timeout(0.5)
            try:
                async with limit:
                    await memory.search("Which code editor does he work in now?", user_id="jonas")
            except TimeoutError:
                late = loop.time() - (limit.when() or 0)
                say(f"CancelledError reached the caller {late * 1000:.1f} ms after the time limit")
            other.rollback()
        began = time.perf_counter()
        hits = await memory.search("Which code editor does he work in now?", user_id="jonas", limit=1)
        say(f"the next search took {(time.perf_counter() - began) * 1000:.1f} ms: {hits[0].memory.content}\n")
    server.release()


def show_audit(memory: Memory) -> None:
    """Print the newest entries of the audit log."""
    heading(
        6,
        "Audit",
        'memory.audit("mei", limit=6)',
        "Every read and write leaves an entry, a write in the same transaction. Newest first:",
    )
    table = Table()
    for title in ("time (UTC)", "app", "action", "memory", "scope", "request"):
        table.add_column(title, no_wrap=True)
    for entry in memory.audit("mei", limit=6):
        memory_id, request = entry.memory_id or "", (entry.request_id or "")[:8]
        table.add_row(
            f"{entry.timestamp:%H:%M:%S.%f}"[:-3], entry.app, entry.action, memory_id, entry.scope or "", request
        )
    CONSOLE.print(table)
    CONSOLE.print()


if __name__ == "__main__":
    main()
