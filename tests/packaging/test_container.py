"""Dockerfile and compose.yaml: what can be held against the project, and run, without a container engine."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml
from packaging.requirements import Requirement

from openmem.drivers.local.cluster import _installed_programs
from openmem.server.cli import command_line
from openmem.server.commands import OPTIONS

from ..server.harness import Process
from ..servers import Server

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
VARIABLES = {option.variable for option in OPTIONS.values()}
SERVICE_KEYS = {
    "build", "cap_drop", "depends_on", "entrypoint", "environment", "healthcheck", "image", "init", "network_mode",
    "networks", "ports", "profiles", "read_only", "restart", "security_opt", "shm_size", "stop_grace_period", "tmpfs",
    "volumes",
}  # fmt: skip


def instructions() -> Iterator[tuple[str, str]]:
    """The instructions of the Dockerfile with their arguments."""
    text = (ROOT / "Dockerfile").read_text()
    for line in re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines():
        if line.strip():
            name, _, arguments = line.partition(" ")
            yield name, arguments.strip()


def last(name: str) -> str:
    """The arguments of the last instruction of this name."""
    return [arguments for found, arguments in instructions() if found == name][-1]


def copied() -> list[str]:
    """What comes into the image from the project."""
    return [
        source
        for name, arguments in instructions()
        if name == "COPY" and not arguments.startswith("--from")
        for source in shlex.split(arguments)[:-1]
    ]


def image_environment() -> dict[str, str]:
    return dict(word.split("=", 1) for name, text in instructions() if name == "ENV" for word in shlex.split(text))


def health_command() -> list[str]:
    words: list[str] = json.loads(last("HEALTHCHECK").partition(" CMD ")[2])
    assert words[0] == "python"
    return [sys.executable, *words[1:]]


def test_the_dockerfile_has_no_lint() -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_copied_is_enough_to_build_the_package(tmp_path: Path) -> None:
    let_through = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(copied()) == sorted(let_through)
    for name in copied():
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", tmp_path, tmp_path], check=True, stdin=subprocess.DEVNULL)
    [wheel] = tmp_path.glob("*.whl")
    assert "openmem/server/cli.py" in zipfile.ZipFile(wheel).namelist()


def test_what_is_installed_is_pinned_and_exists() -> None:
    [install] = [text for name, text in instructions() if name == "RUN" and "[server" in text]
    words = shlex.split(install.partition("&&")[0])
    wanted = words[2 : words.index("--constraint")]
    pins = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    for text in wanted:
        requirement = Requirement(text.replace(".[", "openmem["))
        assert requirement.extras <= set(PROJECT["optional-dependencies"])
        assert requirement.name == "openmem" or requirement.name in pins


def test_the_entry_point_is_the_console_script() -> None:
    [entry_point] = json.loads(last("ENTRYPOINT"))
    assert entry_point in PROJECT["scripts"]
    program, *words = SERVICES["keys"]["entrypoint"]
    assert program == entry_point
    assert command_line().parse_args([*words, "create", "--app", "chat"]).action == "create"


def test_the_image_has_no_root_and_no_secret() -> None:
    user, _, group = last("USER").partition(":")
    assert int(user) >= 1000
    assert int(group) >= 1000
    names = [name for name, _ in instructions()]
    assert "ARG" not in names
    assert "ADD" not in names
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|API_KEY")
    assert not [name for name in image_environment() if secret.search(name)]
    assert names.count("FROM") == 2


@pytest.mark.parametrize("image", [text.split()[0] for name, text in instructions() if name == "FROM"])
def test_base_images_are_pinned(image: str) -> None:
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", image)
    assert f"Programming Language :: Python :: {image[7:].rpartition('.')[0]}" in PROJECT["classifiers"]


def test_settings_are_the_servers() -> None:
    for environment in (image_environment(), SERVICES["server"]["environment"]):
        assert {name for name in environment if name.startswith("OMP_")} <= VARIABLES
    assert last("EXPOSE") == image_environment()["OMP_PORT"]
    assert SERVICES["server"]["ports"][0].rpartition(":")[2] == last("EXPOSE")


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_of_the_compose_specification(name: str) -> None:
    service = SERVICES[name]
    assert service.keys() <= SERVICE_KEYS
    assert "no-new-privileges:true" in service["security_opt"]
    for network in service.get("networks", []):
        assert network in COMPOSE["networks"]
    for volume in service["volumes"]:
        source, target, *mode = volume.split(":")
        assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"]
        assert target.startswith("/")
        assert mode in ([], ["ro"])
    for other, condition in service.get("depends_on", {}).items():
        assert condition == {"condition": "service_healthy"}
        assert SERVICES[other]["healthcheck"]["test"][0] == "CMD"
    for port in service.get("ports", []):
        assert fnmatch(port, "127.0.0.1:*:*")
    for variable, value in service.get("environment", {}).items():
        if "PASSWORD" in variable:
            assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value)
        assert "@" not in value or urlsplit(value).password is None
    if "build" not in service:
        assert re.fullmatch(r"pgvector/pgvector:\d+\.\d+\.\d+-pg\d+", service["image"])
    else:
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_the_composition_works(tmp_path: Path) -> None:
    """The database script, the settings and the health check of the image, on a server that asks for passwords."""
    server = Server(18)
    server.start()
    try:
        password = 'it\'s a "secret" $word'
        subprocess.run(
            ["sh", ROOT / "deploy/create-database.sh"],
            env=os.environ
            | {
                "PATH": f"{_installed_programs()[18]}:{os.environ['PATH']}",
                "PGHOST": "127.0.0.1",
                "PGPORT": str(server.port),
            }
            | {"OMP_DATABASE_PASSWORD": password},
            check=True,
        )
        server.ask_for_passwords("omp")
        with psycopg.connect(server.url()) as admin:
            assert admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'omp'").fetchone() == (False,)
        url = SERVICES["server"]["environment"]["OMP_POSTGRES_URL"].replace("database:5432", f"127.0.0.1:{server.port}")
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url, passfile="/dev/null")
        keys = tmp_path / "keys.json"
        key = subprocess.run(
            [sys.executable, "-m", "openmem.server.cli", "keys", "create", "--app", "chat"],
            env=os.environ | {"OMP_KEYS_FILE": str(keys)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        environment = {"OMP_HOST": image_environment()["OMP_HOST"], "OMP_KEYS_FILE": str(keys), "OMP_POSTGRES_URL": url}
        with Process("--port", "0", **environment, PGPASSWORD=password) as omp, omp.client() as client:
            body = {"content": "Maya prefers dark mode", "user_id": "maya"}
            assert client.post("/memories", json=body).status_code == 401
            assert client.post("/memories", json=body, headers={"X-API-Key": key}).status_code == 201
            port = str(urlsplit(omp.url).port)
            assert subprocess.run(health_command(), env=os.environ | {"OMP_PORT": port}).returncode == 0
            server.stop("immediate")
            assert subprocess.run(health_command(), env=os.environ | {"OMP_PORT": port}).returncode == 1
    finally:
        server.remove()
