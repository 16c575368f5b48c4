from openmem import Memory


def test_add_and_search(url: str) -> None:
    with Memory(url=url) as memory:
        record = memory.add(content="user prefers dark mode", user_id="smoke")
        assert memory.search("dark mode", user_id="smoke")[0].memory.id == record.id
