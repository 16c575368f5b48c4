"""What can be wrong with the configuration of a host."""

from __future__ import annotations

from ...errors import InvalidRequestError


class HostConfigError(InvalidRequestError):
    """The configuration of a host cannot be changed, and was not."""
