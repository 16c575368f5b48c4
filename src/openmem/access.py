"""Grants: which verbs a client may use on which scopes.

A grant is ``<access>:<pattern>``: ``read:coding/*``, ``write:coding/preferences``, ``delete:*``.
``read`` covers get, get_by_key, list, search, context, count, facets, history, audit and wait_for_ingest; ``write``
covers add, add_many, put and update; ``delete`` covers delete and delete_many. reembed and reindex need ``write:*``;
users, forget_user, restore and purge all three of ``read:*``, ``write:*`` and ``delete:*``. The pattern ``*`` of a
grant also covers memories without a scope.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

from ._scopes import ScopeFilter, check_pattern
from ._text import check_text, quoted
from .errors import InvalidRequestError, ScopeDeniedError

Access: TypeAlias = Literal["read", "write", "delete"]


@dataclass(frozen=True, slots=True)
class Grants:
    """The scopes a client may touch, per kind of access. ``None`` means all, scoped or not."""

    read: ScopeFilter | None = None
    write: ScopeFilter | None = None
    delete: ScopeFilter | None = None

    @classmethod
    def parse(cls, grants: Iterable[str] | None) -> Grants:
        """Grants from their text form; None allows everything.

        Raises:
            InvalidRequestError: a grant is not ``<read|write|delete>:<scope pattern>``.
        """
        if grants is None:
            return UNRESTRICTED
        if isinstance(grants, str):
            raise InvalidRequestError("grants: pass a list of strings, as in ['read:coding/*']")
        patterns: dict[Access, list[str]] = {"read": [], "write": [], "delete": []}
        for grant in grants:
            access, pattern = _parse(grant)
            patterns[access].append(pattern)
        return cls(
            **{access: None if "*" in granted else ScopeFilter.of(granted) for access, granted in patterns.items()}
        )

    def of(self, access: Access) -> ScopeFilter | None:
        """What `access` is limited to; None when it is not limited."""
        return cast("ScopeFilter | None", getattr(self, access))

    def require(self, access: Access, scope: str | None) -> None:
        """Raise `ScopeDeniedError` unless a memory with `scope` may be touched."""
        granted = self.of(access)
        if granted is not None and not granted.matches(scope):
            raise _denied(access, scope or "*")

    def allow(self, access: Access) -> bool:
        """Whether there is anything for which `access` is granted."""
        return self.of(access) != _NO_SCOPES

    @property
    def are_unrestricted(self) -> bool:
        """Whether everything may be read, written and deleted."""
        return self == UNRESTRICTED

    def narrow(self, access: Access, requested: Sequence[str] | None, *, subtree: bool = False) -> ScopeFilter | None:
        """The scope filter of a query: what was asked for, or else all that is granted.

        Args:
            requested: the query's scope patterns; None if it has none.
            subtree: whether a plain path in `requested` also takes in what is below it.

        Raises:
            ScopeDeniedError: `requested` reaches beyond the grants, or nothing at all is granted.
        """
        granted = self.of(access)
        if requested is None:
            if granted == _NO_SCOPES:
                raise _denied(access, "*")
            return granted
        asked = ScopeFilter.of(requested, subtree=subtree)
        if granted is not None and not granted.covers(asked):
            denied = (
                pattern for pattern in requested if not granted.covers(ScopeFilter.of([pattern], subtree=subtree))
            )
            raise _denied(access, next(denied))
        return asked


UNRESTRICTED = Grants()
_NO_SCOPES = ScopeFilter()


def _parse(grant: object) -> tuple[Access, str]:
    if isinstance(grant, str):
        access, colon, pattern = grant.partition(":")
        if colon and access in get_args(Access):
            try:
                return cast(Access, access), check_pattern(check_text(pattern))
            except ValueError as error:
                raise InvalidRequestError(f"grants: the scope of {quoted(grant)} {error}") from None
    raise InvalidRequestError(
        f"grants: {quoted(grant)} is not of the form '<read|write|delete>:<scope>', as in 'read:coding/*'"
    )


def _denied(access: Access, scope: str) -> ScopeDeniedError:
    return ScopeDeniedError(f"this client's grants do not include '{access}:{scope}'")
