"""SCRAM-SHA-256-PLUS, the login that is bound to the server's certificate (RFC 5802, RFC 5929, RFC 7677).

A server in the middle that shows another certificate fails it, even one that an authority vouched for by mistake.
asyncpg has SCRAM without the binding.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import stringprep
import unicodedata
from typing import Final

# The last arc of the signature's object identifier says which hash, by family; MD5 and SHA-1 give way to SHA-256.
_RSA: Final = bytes.fromhex("2a864886f70d0101")
_ECDSA: Final = bytes.fromhex("2a8648ce3d0403")
_HASHES: Final = {
    _RSA + b"\x04": "sha256", _RSA + b"\x05": "sha256", _RSA + b"\x0b": "sha256", _RSA + b"\x0c": "sha384",
    _RSA + b"\x0d": "sha512", _RSA + b"\x0e": "sha224",
    bytes.fromhex("2a8648ce3d0401"): "sha256",
    _ECDSA + b"\x01": "sha224", _ECDSA + b"\x02": "sha256", _ECDSA + b"\x03": "sha384", _ECDSA + b"\x04": "sha512",
}  # fmt: skip


class ScramPlus:
    """One login: `first`, then `final` with the server's answer, then `check`.

    Args:
        password: the user's; the server knows the user from the start of the connection.
        certificate: the server's, in DER.

    Raises:
        ConnectionError: there is no password, the certificate's signature has a hash that cannot be bound to, or the
            server breaks the protocol or does not know the password.
    """

    def __init__(self, password: str, certificate: bytes) -> None:
        if not password:
            raise ConnectionError("no password supplied")
        self._password = prepared(password).encode()
        self._nonce = base64.b64encode(secrets.token_bytes(18)).decode()
        self._binding = b"p=tls-server-end-point,," + end_point(certificate)
        self._bare = f"n=,r={self._nonce}"
        self._server_signature = b""

    def first(self) -> bytes:
        """The client's first message."""
        return f"p=tls-server-end-point,,{self._bare}".encode()

    def final(self, server_first: bytes) -> bytes:
        """The client's last message, which proves that it knows the password."""
        fields = _fields(server_first)
        nonce = fields.get("r", "")
        try:
            salt, rounds = base64.b64decode(fields["s"], validate=True), int(fields["i"])
        except (KeyError, ValueError):
            raise ConnectionError("the server's SCRAM message cannot be read") from None
        if not nonce.startswith(self._nonce) or nonce == self._nonce or not 0 < rounds < 10_000_000:
            raise ConnectionError("the server's SCRAM message has a wrong nonce or number of rounds")
        without_proof = f"c={base64.b64encode(self._binding).decode()},r={nonce}"
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, rounds)
        client_key = _hmac(salted, b"Client Key")
        signed = f"{self._bare},{server_first.decode()},{without_proof}".encode()
        signature = _hmac(hashlib.sha256(client_key).digest(), signed)
        proof = bytes(left ^ right for left, right in zip(client_key, signature, strict=True))
        self._server_signature = _hmac(_hmac(salted, b"Server Key"), signed)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def check(self, server_final: bytes) -> None:
        """Hold the server's last message against the password, which it proves to know."""
        shown = _fields(server_final).get("v", "").encode()
        if not self._server_signature or not hmac.compare_digest(base64.b64encode(self._server_signature), shown):
            raise ConnectionError("the server does not know the password that it asks for")


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _fields(message: bytes) -> dict[str, str]:
    try:
        return {part[:1]: part[2:] for part in message.decode().split(",") if part[1:2] == "="}
    except UnicodeDecodeError:
        raise ConnectionError("the server's SCRAM message cannot be read") from None


def prepared(password: str) -> str:
    """`password` by SASLprep (RFC 4013), or as it is where that prohibits it, as PostgreSQL does."""
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in password
        if not stringprep.in_table_b1(character)
    )
    normal = unicodedata.normalize("NFKC", mapped)
    prohibited = (
        stringprep.in_table_a1, stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3,
        stringprep.in_table_c4, stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7,
        stringprep.in_table_c8, stringprep.in_table_c9,
    )  # fmt: skip
    if not normal or any(is_in(character) for is_in in prohibited for character in normal):
        return password
    if any(map(stringprep.in_table_d1, normal)):
        has_left = any(map(stringprep.in_table_d2, normal))
        if has_left or not (stringprep.in_table_d1(normal[0]) and stringprep.in_table_d1(normal[-1])):
            return password
    return normal


def end_point(certificate: bytes) -> bytes:
    """The hash of a certificate by the algorithm of its signature (RFC 5929, section 4.1)."""
    _, start, _ = _element(certificate, 0)
    _, _, after_body = _element(certificate, start)
    _, algorithm, _ = _element(certificate, after_body)
    kind, identifier, end = _element(certificate, algorithm)
    name = _HASHES.get(certificate[identifier:end]) if kind == 0x06 else None
    if name is None:
        raise ConnectionError("channel_binding=require: the signature of the server's certificate cannot be bound to")
    return hashlib.new(name, certificate).digest()


def _element(data: bytes, start: int) -> tuple[int, int, int]:
    """Of the DER element at `start`: its tag, where its content begins, and where that ends."""
    if start + 2 > len(data):
        raise ConnectionError("the server's certificate cannot be read")
    length, content = data[start + 1], start + 2
    if length & 0x80:
        size = length & 0x7F
        length, content = int.from_bytes(data[content : content + size]), content + size
    return data[start], content, content + length
