"""What links and forms say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, TypeVar

from ..errors import InvalidRequestError
from ..moments import read_moment
from ..operations import Operation
from ..wire.parameters import only
from ..wire.route import Route
from ..wire.strict_json import read_json

R = TypeVar("R")

MOMENTS: Final = frozenset({"as_of", "expires_at", "since", "until", "valid_from", "valid_to"})
"""Fields that are times."""


class Values:
    """The values of a query string or a form, by name. Empty ones count as left out.

    Args:
        values: all values of each name.
    """

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = {name: [text for text in texts if text.strip()] for name, texts in values.items()}

    def one(self, name: str) -> str | None:
        """The only value of a name; None if it has none.

        Raises:
            InvalidRequestError: it has two.
        """
        texts = self._values.get(name)
        return only(name, texts) if texts else None

    def require(self, name: str) -> str:
        """The only value of a name.

        Raises:
            InvalidRequestError: it has none, or two.
        """
        text = self.one(name)
        if text is None:
            raise InvalidRequestError(f"{name}: is required")
        return text

    def many(self, name: str) -> tuple[str, ...]:
        """All values of a name."""
        return tuple(self._values.get(name, ()))

    def without(self, *names: str) -> dict[str, Sequence[str]]:
        """All values by name, but for those of `names`."""
        return {name: texts for name, texts in self._values.items() if texts and name not in names}

    def moment(self, name: str, zone: tzinfo) -> datetime | None:
        """A time, in `zone` unless it has an offset; None if it is left out.

        Raises:
            InvalidRequestError: it is none.
        """
        text = self.one(name)
        if text is None:
            return None
        try:
            return read_moment(text, datetime.now(UTC), is_past=True, zone=zone)
        except ValueError as error:
            raise InvalidRequestError(f"{name}: {error}") from None

    def json(self, name: str) -> Any:
        """The value of JSON text; None if it is left out.

        Raises:
            InvalidRequestError: it is not JSON.
        """
        text = self.one(name)
        try:
            return None if text is None else read_json(text)
        except ValueError as error:
            raise InvalidRequestError(f"{name}: {error}") from None

    def operation(self, route: Route[R], zone: tzinfo, **fixed: str) -> Operation[R]:
        """The operation of a route with a query string, of those values that are parameters of it.

        Args:
            zone: the time zone of times without an offset.
            fixed: further parameters.

        Raises:
            InvalidRequestError: one is missing or wrong.
        """
        query: dict[str, Sequence[str]] = {
            name: texts for name, texts in self._values.items() if name in route.parameters and texts
        }
        for name in MOMENTS & query.keys():
            moment = self.moment(name, zone)
            if moment is not None:
                query[name] = [moment.isoformat()]
        return route.operation({}, query | {name: [text] for name, text in fixed.items()}, None)
