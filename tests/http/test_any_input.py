"""Whatever a client sends, the server answers as the protocol's document says, and never with a 5xx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from openmem.server import OmpServerConfig
from tests.servers import Server

from .test_conformance import serving
from .test_specification import SPECIFICATION

load_all_checks()
document = schemathesis.openapi.from_path(str(SPECIFICATION))


@pytest.fixture(scope="module")
def base_url(server: Server) -> Iterator[str]:
    config = OmpServerConfig(settings={"url": server.create_database(), "embedder": "hashing"})
    with serving(config) as url:
        yield url


@document.parametrize()
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_the_protocols(case: Any, base_url: str) -> None:
    response = case.call(base_url=base_url)
    assert response.status_code < 500, response.text
    case.validate_response(
        response,
        checks=[
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
            status_code_conformance,
        ],
    )
