"""Tests that hold a provider to the meaning of the verbs, for those who write one.

Install ``openmem[testing]``, subclass `ConformanceSuite` in a pytest module, name the provider, and run pytest::

    from openmem.testing import ConformanceSuite

    class TestMyProvider(ConformanceSuite):
        deviations = {"test_awkward_ids_name_nothing": "the backend takes ids of its own only"}

        def make(self, **settings):
            return {"provider": "mine", "url": "http://localhost:1234", **settings}

Every test runs on `openmem.Memory` and on `openmem.AsyncMemory`. What the provider does not
advertise in its capabilities it must refuse with `openmem.UnsupportedCapabilityError`; the tests
check that instead. Tests of your own are ``async def`` methods under `requires`.
"""

from __future__ import annotations

try:
    import pytest
except ImportError as error:
    raise ImportError("openmem.testing needs pytest, which is not installed: pip install 'openmem[testing]'") from error

pytest.register_assert_rewrite("openmem.testing.contract", "openmem.testing.contracts")

from .contract import Contract, requires  # noqa: E402
from .suite import ConformanceSuite  # noqa: E402

__all__ = ["ConformanceSuite", "Contract", "requires"]
