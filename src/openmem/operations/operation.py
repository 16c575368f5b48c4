"""What all verbs have in common, and those that select memories.

An operation is made at an edge (a facade, an HTTP route), is valid once it exists, and travels
unchanged to the provider. Making an invalid one raises `InvalidRequestError` naming the field.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from typing_extensions import TypeVar

from .._ids import new_request_id
from .._scopes import ScopeFilter
from ..access import Access, Grants
from ..call import Call
from ..errors import InvalidRequestError, ScopeDeniedError
from ..filters import parse_filter
from ..selection import Selection
from ..wire_model import DEFERS_BUILDING
from .fields import Name, ScopePatterns, Tags, TimeInput, Where
from .messages import explain

R_co = TypeVar("R_co", covariant=True, default=Any)


class Operation(BaseModel, Generic[R_co]):
    """Base of the verbs: immutable, strict about types, closed to unknown fields. `R_co` is the type of the result."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=DEFERS_BUILDING)

    verb: ClassVar[str]
    access: ClassVar[Access] = "read"
    is_wire_verb: ClassVar[bool] = True
    """Whether the protocol has the verb. The others exist in Python only."""
    validate_in_thread: ClassVar[bool] = False
    """Whether validating it may take long enough to hold up an event loop."""
    is_administrative: ClassVar[bool] = False
    """Whether only callers who are limited to no users and scopes may do it."""
    alternative: ClassVar[str] = ""
    """What to do with a backend that does not have the verb."""

    if not TYPE_CHECKING:

        def __class_getitem__(cls, result: object) -> type[Self]:
            """The class itself, since the type of the result is for type checkers only."""
            return cls

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise InvalidRequestError(explain(error), request_id=new_request_id()) from None

    @property
    def limited_text(self) -> tuple[str, str] | None:
        """The field a backend limits the length of, as (name, value)."""
        return None

    def apply(self, provider: object, call: Call) -> Awaitable[R_co]:
        """Perform the operation by the method of `provider` that is named like the verb; see `Verbs`."""
        perform: Callable[[Operation[R_co], Call], Awaitable[R_co]] = getattr(provider, self.verb)
        return perform(self, call)

    def check_each(self, check: Callable[[Operation], None]) -> None:
        """Apply a check to what the operation is made of: by default to itself."""
        check(self)

    def authorize(self, grants: Grants) -> None:
        """Raise `ScopeDeniedError` if `grants` rule the operation out, whatever is stored.

        An operation on an id is also held against the scope of the memory it names, by the provider.
        """
        grants.narrow(self.access, None)


class AdministrativeOperation(Operation[R_co]):
    """Base of the verbs that concern every user, or a user as a whole: only for callers without grants and users."""

    is_administrative: ClassVar[bool] = True

    def authorize(self, grants: Grants) -> None:
        if not grants.are_unrestricted:
            raise ScopeDeniedError(f"{self.verb}: only a client without grants may do this")


class ScopedQuery(Operation[R_co]):
    """Base of the verbs that select memories of one user."""

    user_id: Name
    scope: ScopePatterns | None = None
    tags: Tags | None = None
    any_tags: Tags | None = None
    where: Where | None = None
    since: TimeInput | None = None
    until: TimeInput | None = None
    app: Name | None = None
    as_of: TimeInput | None = None

    covers_subtree: ClassVar[bool] = False
    only_valid: ClassVar[bool] = False
    """Whether memories must be valid at the moment of the query where it has no `as_of`."""
    only_indexed: ClassVar[bool] = False
    """Whether memories must be among those that a search can find."""

    @property
    def scopes(self) -> tuple[str, ...] | None:
        """The scope patterns that are asked for; None for any scope, or none."""
        return (self.scope,) if isinstance(self.scope, str) else self.scope

    @property
    def scope_text(self) -> str | None:
        """The same as one text, for the audit log."""
        return None if self.scopes is None else ", ".join(self.scopes)

    def scope_filter(self, grants: Grants) -> ScopeFilter | None:
        """The scopes to read: what was asked for, or all that is granted; None for no filter."""
        return grants.narrow(self.access, self.scopes, subtree=self.covers_subtree)

    def selection(self, grants: Grants) -> Selection:
        """The memories to read, as far as `grants` allow.

        Raises:
            ScopeDeniedError: the scope reaches beyond the grants, or nothing at all is granted.
        """
        return Selection(
            self.user_id,
            self.scope_filter(grants),
            since=self.since,
            until=self.until,
            only_valid=self.only_valid,
            tags=self.tags or (),
            any_tags=self.any_tags or (),
            where=None if self.where is None else parse_filter(self.where),
            app=self.app,
            as_of=self.as_of,
            only_indexed=self.only_indexed,
        )

    def authorize(self, grants: Grants) -> None:
        self.scope_filter(grants)
