"""What can be wrong with the configuration of a host."""

from __future__ import annotations


class HostConfigError(Exception):
    """The configuration of a host cannot be changed, and was not.

    The message says which file or option is meant, and what to do.
    """
