"""What becomes of an object that holds connections when whoever has it is copied or pickled."""

from __future__ import annotations

from typing import NoReturn, Self


class Shared:
    """An object that copies of its owner share, since it holds connections, and that cannot be pickled."""

    def __copy__(self) -> Self:
        """The same object."""
        return self

    def __deepcopy__(self, memo: object) -> Self:
        """The same object."""
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds connections and cannot be pickled; make one in each process")
