"""The archives of users in Letta.

Archives have no unique names, and two clients can make one for the same user at once. What is read,
is read from all archives of the user's name; what is written goes to the oldest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ....errors import InvalidRequestError, NotFoundError
from ..answers import Answers
from ..calls import SdkCaller

if TYPE_CHECKING:
    from .sdk import LettaClient

ARCHIVE_PREFIX: Final = "openmem:"
"""What the names of our archives begin with; the rest is the user's id."""
ARCHIVES_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive of ours.

    Attributes:
        embeds: whether its passages have vectors.
        searches_itself: whether its search reads the passages, and not an index that holds less.
    """

    id: str
    user_id: str
    embeds: bool
    searches_itself: bool


@dataclass(frozen=True, slots=True)
class Archives:
    """The archives on one server.

    Attributes:
        model: the embedding model of new archives, as arguments of the SDK; without any it is the server's default.
    """

    call: SdkCaller
    sdk: LettaClient
    answers: Answers
    model: Mapping[str, Any]

    async def of_user(self, user_id: str) -> Sequence[Archive]:
        """The archives of a user, the oldest first: one, or more if clients made them at the same time."""
        found: list[Archive] = []
        after: dict[str, str] = {}
        while True:
            page = await self.call(
                "lookup of archives",
                self.sdk.list_archives,
                ARCHIVE_PREFIX + user_id,
                ARCHIVES_AT_ONCE,
                **after,
                mutates=False,
            )
            items = self.answers.field(page, "items", list)
            for item in items:
                archive = self._ours(item)
                if archive is None or archive.user_id != user_id:
                    raise self.answers.errors.malformed("an archive of another user; it was withheld")
                if archive in found:
                    raise self.answers.errors.malformed("the same archive twice")
                found.append(archive)
            if len(items) < ARCHIVES_AT_ONCE:
                return found
            after = {"after": found[-1].id}

    async def create(self, user_id: str) -> Sequence[Archive]:
        """Make an archive for a user who has none; returns all there are then."""
        try:
            made = await self.call(
                "creation of an archive",
                self.sdk.create_archive,
                ARCHIVE_PREFIX + user_id,
                **self.model,
                mutates=True,
            )
        except InvalidRequestError as error:
            raise InvalidRequestError(f"{error.message}; check embedding and embedding_config") from error.__cause__
        archive = self._ours(made)
        if archive is None or archive.user_id != user_id:
            raise self.answers.errors.malformed("an archive that was not asked for")
        return await self.of_user(user_id) or [archive]

    async def get(self, id: str) -> Archive | None:
        """The archive with this id; None if there is none, or it is not ours."""
        try:
            return self._ours(await self.call("lookup of archives", self.sdk.get_archive, id, mutates=False, of=id))
        except NotFoundError:
            return None

    def _ours(self, answer: object) -> Archive | None:
        name = self.answers.field(answer, "name", str)
        if not name.startswith(ARCHIVE_PREFIX):
            return None
        return Archive(
            id=self.answers.field(answer, "id", str),
            user_id=name.removeprefix(ARCHIVE_PREFIX),
            embeds=self.answers.optional(answer, "embedding_config", object) is not None,
            searches_itself=self.answers.optional(answer, "vector_db_provider", str) == "native",
        )
