"""The protocol over HTTP: one table that both the passthrough client and the server follow. Nothing here does any I/O.

`routes` has a row per verb. A row says how the operation travels (`route`) and what the reply looks like (`replies`);
encoding, decoding and the OpenAPI document all follow from it. `responses` and `errors` read what a server answers.
"""

from __future__ import annotations

from typing import Final

REQUEST_ID_HEADER: Final = "X-Request-Id"
USER_ID_HEADER: Final = "X-User-Id"
APP_HEADER: Final = "X-OMP-App"
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"

CAPABILITIES_PATH: Final = "/capabilities"
HEALTH_PATH: Final = "/healthz"

MAX_BODY_BYTES: Final = 1024 * 1024
