"""What a client tells of its backend, and that what is not told is refused."""

from __future__ import annotations

from .. import cases
from ..contract import Contract, requires


class CapabilitiesContract(Contract):
    """`capabilities`."""

    @requires()
    async def test_verbs_that_are_not_advertised_are_refused(self) -> None:
        for verb in cases.VALID:
            if not self.offers(verb):
                await self.assert_refused(verb)

    @requires()
    async def test_features_that_are_not_advertised_are_refused(self) -> None:
        for feature in cases.FEATURE_USES:
            if not self.offers(feature):
                await self.assert_refused(feature)

    @requires()
    async def test_capabilities_are_told_once_and_agree_with_themselves(self) -> None:
        capabilities = await self.memory.capabilities()
        assert await self.memory.capabilities() is capabilities
        assert capabilities.omp_version == "0.1"
        assert capabilities.provider
        assert len(set(capabilities.verbs)) == len(capabilities.verbs)
        assert "capabilities" in capabilities.verbs
        assert set(capabilities.verbs) <= {*cases.VALID, "capabilities"}
        features = capabilities.features
        assert not features.supports_audit or "audit" in capabilities.verbs
        assert not (features.vector_search or features.keyword_search) or "search" in capabilities.verbs
        assert features.max_content_length is None or features.max_content_length > 0
