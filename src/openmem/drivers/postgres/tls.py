"""TLS as libpq does it, for connections that asyncio makes."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from ..._forking import undisturbed
from ...errors import InvalidRequestError
from ...ports.postgres import ConnectionParameters


@undisturbed()
def context_of(parameters: ConnectionParameters) -> ssl.SSLContext:
    """What a connection asks of the server's certificate, and what it shows of its own. Reads files.

    Raises:
        InvalidRequestError: a file cannot be read, or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    mode = parameters.get("sslmode")
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["postgresql"])
    context.minimum_version = _version(parameters.get("ssl_min_protocol_version", "TLSv1.2"))
    if newest := parameters.get("ssl_max_protocol_version"):
        context.maximum_version = _version(newest)
    _trust(context, parameters, mode)
    _show(context, parameters)
    return context


def _version(name: str) -> ssl.TLSVersion:
    return ssl.TLSVersion[name.replace(".", "_")]


def _trust(context: ssl.SSLContext, parameters: ConnectionParameters, mode: str) -> None:
    """Load the certificates to verify the server with. As with libpq, a file that exists is used in every mode."""
    root = parameters.get("sslrootcert") or _default("root.crt", parameters)
    if root == "system":
        context.load_default_certs()
    elif root and os.path.exists(root):
        _load("sslrootcert", lambda: context.load_verify_locations(cafile=root))
    elif mode.startswith("verify"):
        raise InvalidRequestError(
            f"url: sslmode={mode} needs the certificate of an authority to verify with: "
            "name its file in sslrootcert, or sslrootcert=system for those that this system trusts"
        )
    else:
        return
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = mode == "verify-full"
    revoked = parameters.get("sslcrl") or ("" if parameters.get("sslcrldir") else _default("root.crl", parameters))
    if revoked and (parameters.get("sslcrl") or os.path.exists(revoked)):
        _load("sslcrl", lambda: context.load_verify_locations(cafile=revoked))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if directory := parameters.get("sslcrldir"):
        _load("sslcrldir", lambda: context.load_verify_locations(capath=directory))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def _show(context: ssl.SSLContext, parameters: ConnectionParameters) -> None:
    if parameters.get("sslcertmode") == "disable":
        return
    certificate = parameters.get("sslcert") or _default("postgresql.crt", parameters)
    if not certificate or (not parameters.get("sslcert") and not os.path.exists(certificate)):
        return
    key = parameters.get("sslkey") or _default("postgresql.key", parameters)
    if not key:
        raise InvalidRequestError("url: the client's certificate needs its key; name its file in sslkey")
    if os.name != "nt" and os.path.exists(key) and os.stat(key).st_mode & 0o077 and os.stat(key).st_uid == os.geteuid():
        raise InvalidRequestError("url: others can read the file that sslkey names; chmod 600")
    password = parameters.get("sslpassword")
    _load("sslcert", lambda: context.load_cert_chain(certificate, key, password=lambda: password))


def _load(parameter: str, load: object) -> None:
    assert callable(load)
    try:
        load()
    except (OSError, ValueError) as error:
        # An ssl.SSLError is an OSError. Its text names files and reasons, never keys.
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise InvalidRequestError(f"url: what the parameter {parameter} names cannot be loaded: {reason}") from error


def _default(name: str, parameters: ConnectionParameters) -> str:
    """The file of this name in libpq's directory of the user's home."""
    if parameters.ignores_environment:
        return ""
    if os.name == "nt":
        return os.path.join(os.environ.get("APPDATA", ""), "postgresql", name)
    try:
        return str(Path.home() / ".postgresql" / name)
    except RuntimeError:
        return ""
