"""What the threads of a blocking client share, with another thread in the middle of what one of them does."""

from __future__ import annotations

from threading import Thread

from openmem.ports.postgres import Query


def test_a_statement_that_two_threads_use_for_the_first_time_at_once() -> None:
    class Text:
        """The text of a statement, which another thread reads while this one finds out whether it is read already."""

        @property  # type: ignore[misc]
        def __class__(self) -> type[Text]:
            if not others:
                others.append(Thread(target=lambda: query.text))
                others[0].start()
                others[0].join()
            return Text

        def __call__(self) -> str:
            return "SELECT 1"

    others: list[Thread] = []
    query = Query(Text())
    assert query.text == "SELECT 1"
    assert others
