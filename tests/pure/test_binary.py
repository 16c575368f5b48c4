"""Values in binary, and rows of them for COPY; that PostgreSQL reads them is shown by the conformance tests."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest

from openmem import ProviderError
from openmem.providers.postgres import binary


def test_rows() -> None:
    start = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
    rows = b"\0\2" + b"\0\0\0\2ab" + b"\xff\xff\xff\xff" + b"\0\2" + b"\0\0\0\0" + b"\0\0\0\1c"
    assert binary.copy_payload([[b"ab", None], [b"", b"c"]]) == start + rows + b"\xff\xff"
    assert binary.copy_payload([]) == start + b"\xff\xff"


def test_values() -> None:
    assert binary.text("ä") == b"\xc3\xa4"
    assert binary.small_number(1023) == b"\3\xff"
    assert binary.whole_number(-2) == b"\xff\xff\xff\xfe"
    assert binary.number(0.5) == b"\x3f\xe0" + b"\0" * 6
    assert binary.timestamp(datetime(2000, 1, 1, 0, 0, 1, 1, tzinfo=UTC)) == (1_000_001).to_bytes(8)
    assert binary.timestamp(datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)) == (-1_000_000).to_bytes(8, signed=True)
    assert binary.text_array([]) == b"\0" * 8 + b"\0\0\0\x19"
    assert binary.text_array(["ä", ""]) == struct.pack(">iiiiii2si", 1, 0, 25, 2, 1, 2, b"\xc3\xa4", 0)


def test_vectors_are_rounded_to_half_precision() -> None:
    assert binary.half_vector([1 + 2**-11, 1 + 2**-11 + 2**-30, -2.0]) == b"\0\3\0\0\x3c\0\x3c\1\xc0\0"


@pytest.mark.parametrize("number", [65520.0, -1e6, 1e300])
def test_numbers_beyond_half_precision_are_an_error(number: float) -> None:
    with pytest.raises(ProviderError, match="65504") as caught:
        binary.half_vector([1.0, number])
    assert repr(number) in caught.value.message
