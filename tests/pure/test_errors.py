"""The tree of errors: codes, families, and that they survive pickling."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from openmem import errors
from openmem.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OMPError,
    ProviderError,
    RateLimitedError,
    ScopeDeniedError,
    UnauthorizedError,
    UnsupportedCapabilityError,
    UnsupportedProviderError,
    unavailable,
)

CODES = {
    UnauthorizedError: ("unauthorized", "auth"),
    ScopeDeniedError: ("scope_denied", "auth"),
    NotFoundError: ("not_found", "not_found"),
    ConflictError: ("conflict", "conflict"),
    InvalidRequestError: ("invalid_request", "invalid"),
    UnsupportedProviderError: ("invalid_request", "invalid"),
    RateLimitedError: ("rate_limited", "rate_limit"),
    UnsupportedCapabilityError: ("unsupported_capability", "invalid"),
    ProviderError: ("provider_error", "provider"),
}


def test_all_errors_are_known() -> None:
    classes = {value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, OMPError)}
    assert classes == {OMPError, *CODES}


def test_the_tree_in_the_documentation_is_complete() -> None:
    for error in CODES:
        assert error.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", CODES)
def test_codes_and_types(kind: type[OMPError]) -> None:
    error = kind("what was wrong")
    assert (error.code, error.type) == CODES[kind]
    assert error.message == str(error) == "what was wrong"
    assert error.provider is None
    assert error.request_id is None


@pytest.mark.parametrize("kind", [OMPError, *CODES])
@pytest.mark.parametrize("clone", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
def test_errors_survive_pickling(kind: type[OMPError], clone: object) -> None:
    error = kind("m", code="c", type="t", provider="p", request_id="r")
    if isinstance(error, RateLimitedError):
        error.retry_after = 2.5
    assert callable(clone)
    again = clone(error)
    assert type(again) is kind
    assert (str(again), vars(again)) == ("m", vars(error))


def test_unavailable() -> None:
    error = unavailable("down")
    assert (type(error), error.code, error.type) == (ProviderError, "provider_unavailable", "provider")


def test_retry_after() -> None:
    assert RateLimitedError("slow", retry_after=1.5).retry_after == 1.5
    assert RateLimitedError("slow").retry_after is None
