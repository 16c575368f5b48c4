"""What a URL and the environment mean, the same for both clients, up to a connection to a real server."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import pq

from openmem import AsyncMemory, InvalidRequestError, Memory, OMPError, ProviderError, UnauthorizedError
from openmem.drivers.postgres.libpq import resolve
from openmem.ports.postgres import PostgresHost
from openmem.providers.postgres.urls import LIBPQ_PARAMETERS, is_known_pooler

from ..servers import Server, free_port
from .front import PLAIN, PLUS, Authority, Front

PASSWORD = "p@ss/w:rd%+#?é"
ENCODED = "p%40ss%2Fw%3Ard%25%2B%23%3F%C3%A9"
HERE = "hostaddr=127.0.0.1"

Use = Callable[..., None]


@pytest.fixture(params=["Memory", "AsyncMemory"])
def use(request: pytest.FixtureRequest) -> Use:
    """Open a client with these arguments and call it."""

    def use_blocking(url: str, **settings: Any) -> None:
        with Memory(url=url, embedder="hashing", **settings) as memory:
            memory.list("maya")

    def use_on_a_loop(url: str, **settings: Any) -> None:
        async def main() -> None:
            async with AsyncMemory(url=url, embedder="hashing", **settings) as memory:
                await memory.list("maya")

        asyncio.run(main())

    return use_blocking if request.param == "Memory" else use_on_a_loop


@pytest.fixture(scope="module")
def name(server: Server) -> str:
    """A database that every role may work in, with the roles that vendors name in their URLs."""
    database = server.create_database().rpartition("/")[2]
    with psycopg.connect(server.url(), autocommit=True) as admin:
        for role in ("alex", "postgres.abcdefghijklmnop", "app", "admin@server", "mia"):
            admin.execute(
                f'DO $$ BEGIN CREATE ROLE "{role}" SUPERUSER LOGIN; EXCEPTION WHEN others THEN END $$'.encode()
            )
    return database


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without files of libpq's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


NEON = "ep-cool-darkness-a1b2c3d4-pooler.us-east-2.aws.neon.tech"
SUPABASE = "aws-0-eu-central-1.pooler.supabase.com"
RDS = "app.c9akciq32.eu-west-1.rds.amazonaws.com"
AZURE = "server.postgres.database.azure.com"

# Each with how the connection is encrypted, and how the client logs in. What vendors show, but for the port.
FORMS = {
    "Neon": (f"postgresql://alex:{{pw}}@{NEON}:{{port}}/{{db}}?sslmode=require&channel_binding=require", "tls", PLUS),
    "Neon for clients without SNI": (
        f"postgres://alex:{{pw}}@{NEON}:{{port}}/{{db}}?sslmode=require&options=endpoint%3Dep-cool-darkness-a1b2c3d4",
        "tls",
        None,
    ),
    "Neon with direct TLS": (
        f"postgresql://alex:{{pw}}@{NEON}:{{port}}/{{db}}?sslmode=require&channel_binding=require&sslnegotiation=direct",
        "direct",
        PLUS,
    ),
    "Supabase's pooler": (
        f"postgresql://postgres.abcdefghijklmnop:{{pw}}@{SUPABASE}:{{port}}/{{db}}?pgbouncer=true&connection_limit=1",
        "tls",
        None,
    ),
    "Supabase": ("postgresql://postgres:{pw}@db.abcdefghijklmnop.supabase.co:{port}/{db}", "tls", None),
    "RDS": (f"postgresql://app:{{pw}}@{RDS}:{{port}}/{{db}}?sslmode=verify-full&sslrootcert={{root}}", "tls", None),
    "Azure": (f"postgresql://app:{{pw}}@{AZURE}:{{port}}/{{db}}?sslmode=require", "tls", None),
    "Azure's single server": (
        f"postgresql://admin%40server:{{pw}}@{AZURE}:{{port}}/{{db}}?sslmode=require",
        "tls",
        None,
    ),
    "Heroku": ("postgres://app:{pw}@ec2-54-1-2-3.compute-1.amazonaws.com:{port}/{db}?sslmode=require", "tls", None),
    "Render": ("postgresql://app:{pw}@dpg-c1d2e3-a.oregon-postgres.render.com:{port}/{db}", "tls", None),
    "Fly": ("postgres://app:{pw}@app-db.flycast:{port}/{db}?sslmode=disable", "plain", PLAIN),
    "Prisma": ("postgresql://app:{pw}@localhost:{port}/{db}?schema=public", "tls", None),
    "Prisma's limits": ("postgresql://app:{pw}@localhost:{port}/{db}?connection_limit=5&pool_timeout=2", "tls", None),
    "SQLAlchemy": ("postgresql+asyncpg://app:{pw}@localhost:{port}/{db}", "tls", None),
    "JDBC's parameter": ("postgresql://app:{pw}@localhost:{port}/{db}?ssl=true", "tls", None),
    "a secret with a line break": ("postgresql://app:{pw}@localhost:{port}/{db}\n", "tls", None),
    "psql": ("psql 'postgresql://app:{pw}@localhost:{port}/{db}?sslmode=require'", "tls", None),
    "user in the parameters": ("postgresql://localhost:{port}/{db}?user=app&password={pw}", "tls", None),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_url_as_vendors_show_it(form: str, use: Use, server: Server, name: str, authority: Authority) -> None:
    template, how, mechanism = FORMS[form]
    identity = authority.server(
        NEON, SUPABASE, RDS, AZURE, "*.supabase.co", "*.render.com", "*.amazonaws.com", "app-db.flycast", "localhost"
    )
    with Front(server.port, identity, direct=how == "direct", password=PASSWORD) as front:
        url = template.format(pw=ENCODED, port=front.port, db=name, root=authority.root)
        separator = "&" if "?" in url else "?"
        use(re_join(url, f"{separator}{HERE}"))
        assert set(front.seen) == {how}
        assert {startup["database"] for startup in front.startups} == {name}
        assert mechanism is None or set(front.mechanisms_used) == {mechanism}


def re_join(url: str, addition: str) -> str:
    """`url` with more parameters, before what is around it."""
    bare = url.rstrip("\n'")
    return bare + addition + url[len(bare) :]


# Parameters of a URL, what the front has, and the words of the error; or how the connection is encrypted in the end.
DEMANDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "no TLS to be had": ("sslmode=require", {"identity": None}, "!not support"),
    "no TLS to be had, direct": ("sslmode=require&sslnegotiation=direct", {"identity": None}, "!PostgreSQL"),
    "TLS is preferred": ("sslmode=prefer", {"identity": None}, "plain"),
    "TLS is preferred and there": ("sslmode=prefer", {}, "tls"),
    "TLS is allowed": ("sslmode=allow", {}, "plain"),
    "TLS is allowed and asked for": ("sslmode=allow", {"refuses_plain": True}, "tls"),
    "TLS is ruled out": ("sslmode=disable", {}, "plain"),
    "TLS is ruled out and asked for": ("sslmode=disable", {"refuses_plain": True}, "!login"),
    "verified": ("sslmode=verify-full&sslrootcert={root}", {}, "tls"),
    "verified without a host": ("sslmode=verify-ca&sslrootcert={root}", {"names": ["elsewhere"]}, "tls"),
    "the wrong host": ("sslmode=verify-full&sslrootcert={root}", {"names": ["elsewhere"]}, "!not what url asks for"),
    "the wrong authority": ("sslmode=verify-ca&sslrootcert={other}", {}, "!not what url asks for"),
    "the wrong authority, though not asked to verify": (
        "sslmode=require&sslrootcert={other}",
        {},
        "!not what url asks for",
    ),
    "no authority": ("sslmode=verify-full", {}, "!root"),
    "the system's authorities": ("sslrootcert=system", {}, "!not what url asks for"),
    "TLS is too old": ("sslmode=require&ssl_min_protocol_version=TLSv1.3", {"newest": "TLSv1_2"}, "!PostgreSQL"),
    "TLS is too new": ("sslmode=require&ssl_max_protocol_version=TLSv1.2", {"oldest": "TLSv1_3"}, "!PostgreSQL"),
    "bound": ("sslmode=require&channel_binding=require", {"password": PASSWORD}, "tls"),
    "bound, not asked for a password": ("sslmode=require&channel_binding=require", {}, "!channel.binding"),
    "bound, without TLS": ("channel_binding=require", {"identity": None, "password": PASSWORD}, "!channel.binding"),
    "bound, which the server cannot": (
        "sslmode=require&channel_binding=require",
        {"password": PASSWORD, "mechanisms": (PLAIN,)},
        "!channel.binding",
    ),
    "bound, wrong password": ("sslmode=require&channel_binding=require", {"password": "other"}, "!login"),
    "not bound": ("sslmode=require&channel_binding=disable", {"password": PASSWORD}, "tls"),
    "a login that was asked for": ("require_auth=scram-sha-256", {"password": PASSWORD}, "tls"),
    "another login": ("require_auth=md5,password", {"password": PASSWORD}, "!not what url asks for"),
    "a login that was ruled out": ("require_auth=!scram-sha-256", {"password": PASSWORD}, "!not what url asks for"),
    "no login, though asked for": ("require_auth=scram-sha-256", {}, "!not what url asks for"),
    "no login": ("require_auth=none", {}, "tls"),
    "a login where none was wanted": ("require_auth=none", {"password": PASSWORD}, "!not what url asks for"),
}


@pytest.mark.parametrize("demand", DEMANDS)
def test_what_asks_for_security_is_never_dropped(
    demand: str, use: Use, server: Server, name: str, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    parameters, behaviour, outcome = DEMANDS[demand]
    behaviour = dict(behaviour)
    identity = authority.server(*behaviour.pop("names", ["localhost"]))
    if newest := behaviour.pop("newest", None):
        identity.context.maximum_version = ssl.TLSVersion[newest]
    if oldest := behaviour.pop("oldest", None):
        identity.context.minimum_version = ssl.TLSVersion[oldest]
    other = Authority(tmp_path_factory.mktemp("other")).root
    with Front(server.port, **({"identity": identity} | behaviour)) as front:
        query = parameters.format(root=authority.root, other=other)
        url = f"postgresql://app:{ENCODED}@localhost:{front.port}/{name}?{query}&{HERE}"
        if not outcome.startswith("!"):
            use(url)
            assert front.seen[-1] == outcome
            return
        with pytest.raises(OMPError, match=outcome[1:]) as caught:
            use(url, timeout=5)
        assert PASSWORD not in str(caught.value)
        if "sslmode=require" in parameters or "verify" in parameters:
            assert "plain" not in front.seen


def test_a_certificate_of_the_client(use: Use, server: Server, name: str, authority: Authority) -> None:
    certificate, key = authority.client("app")
    with Front(server.port, authority.server("localhost")) as front:
        url = (
            f"postgresql://app@localhost:{front.port}/{name}?sslmode=require&{HERE}&sslcert={certificate}&sslkey={key}"
        )
        use(url)
        assert set(front.certificates) == {True}
        front.certificates.clear()
        use(f"{url}&sslcertmode=disable")
        assert set(front.certificates) == {False}
        key.chmod(0o644)
        with pytest.raises(OMPError, match="key"):
            use(url)


def test_the_name_that_is_sent_ahead(use: Use, server: Server, name: str, authority: Authority) -> None:
    with Front(server.port, authority.server("localhost")) as front:
        url = f"postgresql://app@localhost:{front.port}/{name}?sslmode=require&{HERE}"
        use(url)
        use(f"{url}&sslsni=0")
        assert {*front.names} == {"localhost", None}


def test_a_query_is_cancelled_on_the_way_of_its_connection(server: Server, name: str, authority: Authority) -> None:
    with Front(server.port, authority.server("elsewhere")) as front:
        url = f"postgresql://app@elsewhere:{front.port}/{name}?sslmode=verify-full&sslrootcert={authority.root}&{HERE}"

        async def main() -> None:
            async with AsyncMemory(url=url, embedder="hashing", pool_max_size=1) as memory:
                with psycopg.connect(server.url(name)) as blocker:
                    blocker.execute("LOCK TABLE openmem.memories IN ACCESS EXCLUSIVE MODE")
                    call = asyncio.ensure_future(memory.list("maya"))
                    await asyncio.sleep(0.3)
                    call.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await call
                await memory.list("maya")

        asyncio.run(main())
        assert front.cancelled == ["tls"]


def test_what_the_server_is_told(use: Use, server: Server, name: str) -> None:
    with Front(server.port, None) as front:
        base = f"postgresql://app@127.0.0.1:{front.port}/{name}"
        use(f"{base}?application_name=a%20b&options=-c%20work_mem%3D8MB")
        use(f"{base}?fallback_application_name=c")
        told = [(start.get("application_name"), start.get("options")) for start in front.startups]
        assert set(told) == {("a b", "-c work_mem=8MB"), ("c", None)}
        assert {start["client_encoding"].strip("'").replace("-", "").upper() for start in front.startups} == {"UTF8"}


@pytest.mark.parametrize(
    "parameters",
    [
        "host={dead},127.0.0.1&port={gone},{port}",
        "host=localhost&hostaddr=127.0.0.1&port={port}",
        "host=a.invalid,127.0.0.1&port={port}",
        "host=a.invalid&hostaddr=127.0.0.1&port={port}",
        "hostaddr=127.0.0.1&port={port}",
        "host=127.0.0.1&port={port}&connect_timeout=2",
        "host=127.0.0.1,localhost&port={port}&load_balance_hosts=random",
        "host=127.0.0.1&port={port}&target_session_attrs=read-write",
        "host=127.0.0.1&port={port}&target_session_attrs=primary",
        "host=127.0.0.1,127.0.0.1&port={port},{port}&target_session_attrs=prefer-standby",
        "host=127.0.0.1&port={port}&keepalives=1&keepalives_idle=9&keepalives_interval=3&keepalives_count=2",
        "host=127.0.0.1&port={port}&keepalives=0&tcp_user_timeout=9000",
        "host=127.0.0.1&port={port}&gssencmode=prefer&krbsrvname=pg",
        "host=127.0.0.1&port={port}&sslcompression=0&client_encoding=auto",
    ],
)
def test_hosts_and_what_else_is_honoured(parameters: str, use: Use, server: Server, name: str) -> None:
    query = parameters.format(dead="127.0.0.1", gone=free_port(), port=server.port)
    use(f"postgresql:///{name}?user=app&{query}")


def test_hosts_before_the_path(use: Use, server: Server, name: str) -> None:
    use(f"postgresql://app@127.0.0.1:{free_port()},localhost:{server.port}/{name}")


@pytest.mark.parametrize("attributes", ["read-only", "standby"])
def test_no_host_is_what_is_asked_for(attributes: str, use: Use, server: Server, name: str) -> None:
    with pytest.raises(ProviderError) as caught:
        use(f"postgresql://app@127.0.0.1:{server.port}/{name}?target_session_attrs={attributes}")
    assert caught.value.code == "provider_unavailable"


def test_read_only_is_told_by_the_session(use: Use, server: Server, name: str) -> None:
    url = f"postgresql://app@127.0.0.1:{server.port}/{name}?options=-c%20default_transaction_read_only%3Don"
    use(f"postgresql://app@127.0.0.1:{server.port}/{name}")
    with pytest.raises(ProviderError):
        use(f"{url}&target_session_attrs=read-write")
    use(f"{url}&target_session_attrs=read-only", audit="writes")


REFUSED = {
    "sslmode=bogus": "the parameter sslmode must be one of",
    "sslnegotiation=direct": "sslnegotiation=direct needs sslmode",
    "sslmode=require&sslrootcert=/nowhere/root.pem": "sslrootcert names a file that does not exist",
    "sslmode=require&sslrootcert=system": "sslrootcert=system needs sslmode=verify-full",
    "sslcompression=1": "sslcompression",
    "channel_binding=bogus": "the parameter channel_binding must be one of",
    "require_auth=kerberos": "the parameter require_auth has other names",
    "require_auth=!md5,password": "require_auth either",
    "target_session_attrs=bogus": "the parameter target_session_attrs must be one of",
    "load_balance_hosts=bogus": "the parameter load_balance_hosts must be one of",
    "connect_timeout=soon": "the parameter connect_timeout is a whole number",
    "keepalives_idle=x": "the parameter keepalives_idle is a whole number",
    "port=x": "the parameter port is a number",
    "port=1,2": "2 ports do not match 1 hosts",
    "hostaddr=127.0.0.1,127.0.0.2": "1 hosts do not match 2 addresses",
    "client_encoding=LATIN1": "client_encoding is UTF8",
    "replication=database": "the parameter replication cannot be honoured",
    "oauth_issuer=x": "the parameter oauth_issuer cannot be honoured",
    "oauth_client_secret=x": "the parameter oauth_client_secret cannot be honoured",
    "scram_client_key=x": "the parameter scram_client_key cannot be honoured",
    "sslkeylogfile=x": "the parameter sslkeylogfile cannot be honoured",
    "service=nowhere": "no service file defines the service 'nowhere'",
}


@pytest.mark.parametrize("parameters", REFUSED)
@pytest.mark.parametrize("setting", ["url", "replica_url"])
def test_what_cannot_be_honoured_is_refused_by_name(parameters: str, setting: str, use: Use, server: Server) -> None:
    with Front(server.port, None) as front:
        good, bad = server.url(port=front.port), f"{server.url(port=front.port)}?password=secret&{parameters}"
        settings = {"url": bad} if setting == "url" else {"url": good, "replica_url": bad}
        with pytest.raises(InvalidRequestError, match=REFUSED[parameters]) as caught:
            use(**settings)
        assert str(caught.value).startswith(f"{setting}: ")
        assert "secret" not in str(caught.value).replace("oauth_client_secret", "")
        assert front.seen == []


@pytest.mark.parametrize(
    "parameters",
    [
        "gssencmode=require",
        "gssdelegation=1",
        "sslcertmode=require",
        "sslkey=engine:x",
        "min_protocol_version=3.2",
        "sslsni=0&sslmode=verify-full",
    ],
)
def test_what_only_libpq_can_do(parameters: str) -> None:
    refused = f"the parameter {parameters.partition('=')[0]}.* cannot be honoured by AsyncMemory; .* use Memory"
    with pytest.raises(InvalidRequestError, match=refused):
        resolve(f"postgresql://app@h/d?{parameters}", "url", for_asyncio=True)
    resolve(f"postgresql://app@h/d?{parameters}", "url", for_asyncio=False)


def test_no_parameter_of_libpq_is_forgotten() -> None:
    assert {option.keyword.decode() for option in pq.Conninfo.get_defaults()} <= LIBPQ_PARAMETERS


ENVIRONMENTS: dict[str, tuple[str, dict[str, str]]] = {
    "host and port": ("postgresql:///{db}?user=app", {"PGHOST": "127.0.0.1", "PGPORT": "{port}"}),
    "everything": (
        "postgresql://",
        {"PGHOST": "localhost", "PGHOSTADDR": "127.0.0.1", "PGPORT": "{port}", "PGUSER": "app", "PGDATABASE": "{db}"},
    ),
    "the URL goes first": (
        "postgresql://app:{pw}@127.0.0.1:{port}/{db}?sslmode=disable",
        {
            "PGHOST": "a.invalid", "PGPORT": "1", "PGUSER": "nobody", "PGPASSWORD": "wrong", "PGDATABASE": "none",
            "PGSSLMODE": "verify-full", "PGCLIENTENCODING": "LATIN1", "PGTZ": "Asia/Tokyo", "PGDATESTYLE": "German",
        },
    ),
    "a service": ("postgresql://?service=ours", {"PGSERVICEFILE": "{home}/services"}),
    "a service by its variable": ("postgresql:///{db}", {"PGSERVICEFILE": "{home}/services", "PGSERVICE": "ours"}),
    "a service in the home directory": ("postgresql://?service=home", {}),
    "a service goes before variables": (
        "postgresql://?service=ours",
        {"PGSERVICEFILE": "{home}/services", "PGDATABASE": "none", "PGUSER": "nobody"},
    ),
    "a password file": ("postgresql://mia@127.0.0.1:{port}/{db}", {"PGPASSFILE": "{home}/passwords"}),
    "a password file in the URL": ("postgresql://mia@127.0.0.1:{port}/{db}?passfile={home}/passwords", {}),
    "the password file": ("postgresql://mia@127.0.0.1:{port}/{db}", {}),
    "a password": ("postgresql://app@127.0.0.1:{port}/{db}", {"PGPASSWORD": PASSWORD}),
}  # fmt: skip


@pytest.mark.parametrize("case", ENVIRONMENTS)
def test_the_environment_fills_in_what_the_url_leaves_out(
    case: str, use: Use, server: Server, name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template, variables = ENVIRONMENTS[case]
    needs_password = "host and port" not in case and "everything" not in case
    with Front(server.port, None, password=PASSWORD if needs_password else None) as front:
        places = {"port": front.port, "db": name, "pw": ENCODED, "home": home}
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value.format(**places))
        service = f"host=127.0.0.1\nport={front.port}\nuser=app\npassword={PASSWORD}\ndbname={name}\nsslmode=disable\n"
        (home / "services").write_text(f"# ours\n[other]\nhost=a.invalid\n\n[ours]\n{service}")
        (home / ".pg_service.conf").write_text(f"[home]\n{service}")
        escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
        for file in (home / "passwords", home / ".pgpass"):
            file.write_text(f"# ours\nelsewhere:*:*:*:wrong\n127.0.0.1:*:{name}:mia:{escaped}\n*:*:*:*:wrong\n")
            file.chmod(0o600)
        use(template.format(**places))
        assert {start["database"] for start in front.startups} == {name}


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("PGSSLMODE", "bogus", "it is from the variable PGSSLMODE"),
        ("PGSSLMODE", "require", "not support"),
        ("PGCHANNELBINDING", "require", "channel.binding"),
        ("PGREQUIREAUTH", "md5", "not what url asks for"),
        ("PGSERVICE", "nowhere", "no service file defines the service 'nowhere'"),
    ],
)
def test_what_the_environment_asks_for(
    variable: str, value: str, reason: str, use: Use, server: Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with Front(server.port, None, password=PASSWORD) as front, pytest.raises(OMPError, match=reason):
        use(f"postgresql://app:{ENCODED}@127.0.0.1:{front.port}/{name}")


def test_a_wrong_password(use: Use, server: Server, name: str) -> None:
    with Front(server.port, None, password=PASSWORD) as front:
        for credentials in ("app", "app:wrong"):
            with pytest.raises(UnauthorizedError):
                use(f"postgresql://{credentials}@127.0.0.1:{front.port}/{name}")


@pytest.fixture(scope="module")
def socket_server() -> Iterator[tuple[Server, Path]]:
    # Not among pytest's directories, which another run closes to the account of the server.
    directory = Path(tempfile.mkdtemp(prefix="om-"))
    directory.chmod(0o777)
    server = Server(unix_socket_directories=str(directory))
    server.start()
    try:
        yield server, directory
    finally:
        server.remove()
        shutil.rmtree(directory)


def test_sockets(use: Use, socket_server: tuple[Server, Path]) -> None:
    server, directory = socket_server
    encoded = str(directory).replace("/", "%2F")
    for url in (
        f"postgresql://postgres@/postgres?host={directory}&port={server.port}",
        f"postgresql://postgres@{encoded}:{server.port}/postgres",
        f"postgresql://postgres@{encoded}:{server.port}/postgres?sslmode=require",
        f"postgresql://postgres@/postgres?host=/nowhere,{directory}&port={server.port}",
    ):
        use(url)
    owner = directory.joinpath(f".s.PGSQL.{server.port}").owner()
    url = f"postgresql://postgres@{encoded}:{server.port}/postgres?requirepeer="
    use(f"{url}{owner}")
    with pytest.raises(ProviderError, match="requirepeer"):
        use(f"{url}somebody")


@pytest.mark.parametrize(
    ("host", "port", "known"),
    [(SUPABASE, 6543, True), (SUPABASE, 5432, False), (NEON, 5432, True), (NEON.replace("-pooler", ""), 5432, False)],
)
def test_poolers_that_are_known_by_their_names(host: str, port: int, known: bool) -> None:
    parameters = resolve(f"postgresql://app@{host}:{port}/d", "url", for_asyncio=True)
    assert is_known_pooler(parameters) is known


def test_what_was_resolved_is_not_shown() -> None:
    parameters = resolve("postgresql://app:secret@h/d?sslpassword=secret", "url", for_asyncio=True)
    assert "secret" not in f"{parameters!r}{parameters.hosts!r}{PostgresHost('h', '', 1, 'secret')!r}"
