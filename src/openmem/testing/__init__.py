"""Tests that hold a provider to the meaning of the verbs, for those who write one.

Subclass `ConformanceSuite` in a pytest module, name the provider, and run pytest::

    from openmem.testing import ConformanceSuite

    class TestMyProvider(ConformanceSuite):
        def make(self, **settings):
            return {"provider": "mine", "url": "http://localhost:1234", **settings}

Every test runs on `openmem.Memory` and on `openmem.AsyncMemory`. What the provider does not
advertise in its capabilities it must refuse with `openmem.UnsupportedCapabilityError`; the tests
check that instead.
"""

from __future__ import annotations

try:
    import pytest
except ImportError as error:
    raise ImportError("openmem.testing needs pytest, which is not installed: pip install pytest") from error

pytest.register_assert_rewrite("openmem.testing.suite")

from .suite import ConformanceSuite, clause  # noqa: E402

__all__ = ["ConformanceSuite", "clause"]
