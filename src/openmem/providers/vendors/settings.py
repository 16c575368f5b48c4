"""Settings that the vendors' providers read alike: the URL of the server and the API key."""

from __future__ import annotations

import os

from ..._network import split_url
from ...config import ClientConfig
from ...errors import InvalidRequestError


def endpoint(config: ClientConfig) -> str | None:
    """The URL of the backend in ``host`` or ``base_url``, without a trailing slash; None for the vendor's own.

    Raises:
        InvalidRequestError: both are given and differ, or it is no http(s) URL, or has a credential.
    """
    if config.host is not None and config.base_url is not None and config.host != config.base_url:
        raise InvalidRequestError("host and base_url name different servers; pass only one of them")
    setting, url = ("host", config.host) if config.host is not None else ("base_url", config.base_url)
    return None if url is None else check_endpoint(setting, url)


def check_endpoint(setting: str, url: str) -> str:
    """`url`, the value of `setting`, without a trailing slash.

    Raises:
        InvalidRequestError: it is no http(s) URL, or has a credential.
    """
    checked, user, _ = split_url(setting, url)
    if user is not None:
        raise InvalidRequestError(f"{setting}: it has a user name or a password, which a log would show; pass api_key")
    return checked


def api_key(config: ClientConfig, variable: str) -> str | None:
    """The API key: from the constructor, else from this environment variable; None if there is none.

    Raises:
        InvalidRequestError: it cannot be sent in a header.
    """
    key = config.api_key or os.environ.get(variable, "").strip() or None
    if key is not None and not (key.isascii() and key.isprintable()):
        raise InvalidRequestError("api_key: it has characters that no key has")
    return key
