"""Calling a vendor's SDK, which blocks: in a thread, tried again where that is safe, with openmem's errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ..._quiet import quiet
from ..._retrying import TRIES, Backoff
from ...errors import NotFoundError, OMPError, ProviderError, RateLimitedError
from ...ports import Ports, SdkCall
from ...ports.errors import ConnectionFailedError
from ..base import no_such_memory
from .errors import ServiceUnavailableError, VendorErrors

R = TypeVar("R")


class Translate(Protocol):
    """Makes openmem's error of an exception that a vendor's SDK raised.

    A lost connection must become a `ConnectionFailedError`, which is tried again; an answer that did not come in time
    must not.
    """

    def __call__(self, error: Exception, errors: VendorErrors) -> OMPError: ...


@dataclass(frozen=True, slots=True)
class SdkCaller:
    """Calls the functions of one vendor's SDK.

    Attributes:
        ports: where blocking functions are called.
        errors: makes the errors about this vendor.
        translate: makes the error of an exception.
        redact: takes secrets out of a message.
    """

    ports: Ports
    errors: VendorErrors
    translate: Translate
    redact: Callable[[str], str]

    async def __call__(
        self,
        label: str,
        function: Callable[..., R],
        /,
        *args: Any,
        mutates: bool,
        of: str | None = None,
        **kwargs: Any,
    ) -> R:
        """What a function of the SDK returns.

        A call that changes nothing is tried again, at most twice, after a lost connection and where
        the backend asks for it; one that changes something is sent once.

        Args:
            label: what the call is for, as in ``"add"``, for the log.
            mutates: whether the call can change what is stored.
            of: id of the memory that the call names, if it does.

        Raises:
            NotFoundError: the backend says that `of` does not exist.
            OMPError: whatever else `translate` makes of the SDK's exception.
        """
        call = SdkCall(function, f"{label} on {self.errors.vendor}", mutates)
        backoff = Backoff(1 if mutates else TRIES)
        while True:
            try:
                with quiet():
                    return await self.ports.to_thread(call, *args, **kwargs)
            except OMPError:
                raise
            except Exception as error:
                translated = self._translated(error, of)
                pause = None
                if isinstance(translated, RateLimitedError | ConnectionFailedError):
                    pause = backoff.next_delay(_requested_pause(translated))
                if pause is None:
                    raise translated from error
            await self.ports.sleep(pause)

    def _translated(self, error: Exception, of: str | None) -> OMPError:
        translated = self.translate(error, self.errors)
        if isinstance(translated, NotFoundError):
            if of is not None:
                return no_such_memory(of)
            translated = ProviderError(f"{translated.message}; check host and base_url")
        translated.message = self.redact(translated.message)
        translated.args = (translated.message,)
        return translated


def _requested_pause(error: RateLimitedError | ConnectionFailedError) -> float | None:
    """Seconds that the backend asked to wait, if it did."""
    return error.retry_after if isinstance(error, RateLimitedError | ServiceUnavailableError) else None
