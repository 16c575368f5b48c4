"""Reading what an SDK returns: mappings or objects whose fields may be missing or of any type.

The SDKs check little of what a server sends, so every field is held against the type that it must have.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

from ...models import as_utc
from .errors import VendorErrors

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answers:
    """Reads the answers of one vendor's SDK.

    Attributes:
        errors: makes the error for an answer that is not as it should be.
    """

    errors: VendorErrors

    def field(self, answer: object, name: str, kind: type[T]) -> T:
        """A field of an answer, a mapping or an object, that must be there.

        Args:
            kind: its type. A `float` may come as an int, a `datetime` as ISO text.

        Raises:
            ProviderError: it is missing or of another type.
        """
        value = self.optional(answer, name, kind)
        if value is None:
            raise self.errors.malformed(f"no {name!r} where one was expected")
        return value

    def optional(self, answer: object, name: str, kind: type[T]) -> T | None:
        """Like `field`, but None if it is missing or null."""
        if isinstance(answer, Mapping):
            value = answer.get(name)
        elif isinstance(answer, str | bytes | int | float | list | tuple | None):
            raise self.errors.malformed(f"{type(answer).__name__} where an object with {name!r} was expected")
        else:
            value = getattr(answer, name, None)
        return None if value is None else self.expect(value, name, kind)

    def expect(self, value: object, name: str, kind: type[T]) -> T:
        """`value`, which an answer calls `name`, if it is of this type.

        Raises:
            ProviderError: it is of another type.
        """
        if kind is datetime and isinstance(value, datetime | str):
            try:
                return cast(T, as_utc(value if isinstance(value, datetime) else datetime.fromisoformat(value)))
            except ValueError:
                raise self.errors.malformed(f"{name!r} that is no time") from None
        if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            if not math.isfinite(value):
                raise self.errors.malformed(f"{name!r} that is no finite number")
            return cast(T, float(value))
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.errors.malformed(f"{name!r} of type {type(value).__name__}, not {kind.__name__}")
        return value


def pick(answer: object, names: Iterable[str]) -> dict[str, Any]:
    """Those of these fields that an answer, a mapping or an object, has, as they came."""
    fields = {name: answer.get(name) if isinstance(answer, Mapping) else getattr(answer, name, None) for name in names}
    return {name: value for name, value in fields.items() if value is not None}
