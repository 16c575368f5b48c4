"""The command ``ui``: the memory browser on this machine, for whoever started it."""

from __future__ import annotations

import os
import secrets
import threading
import webbrowser
from typing import Final

import click

from ...given import Given, environment, flags
from ...server.commands import BACKEND_SETTINGS, OPTIONS, run_server
from ...ui import opening_path, require_ui_extra
from ..session import Session, SessionCommand

HOST: Final = "127.0.0.1"


def _say(message: str) -> None:
    click.echo(f"openmem ui: {message}", err=True)


def _open(session: Session, port: str | None, shows_browser: bool) -> int:
    require_ui_extra("openmem ui")
    connection = session.connection
    asked = {"ui": "true", "host": HOST, "port": port or "0", "log_level": "warning", "provider": connection.provider}
    settings = Given(OPTIONS, flags(asked), environment(BACKEND_SETTINGS, os.environ))

    ticket = secrets.token_urlsafe(32)

    def announce(url: str) -> None:
        address = url + opening_path(ticket, session.user)
        click.echo(address)
        _say("serving until Ctrl+C, to the web browser that opens this address first")
        if shows_browser:
            # Some browsers run in the terminal until they are closed.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    return run_server(settings, connection.arguments(), _say, announce=announce, ui_ticket=ticket)


ui_command = SessionCommand(
    "ui",
    help="Open the memory browser. It is served to one web browser of this machine, until Ctrl+C. With --user it "
    "begins with the memories of that user.",
    callback=_open,
    params=[
        click.Option(["--port"], metavar="PORT", help="Port to listen on; by default any free one."),
        click.Option(
            ["shows_browser", "--browser/--no-browser"], default=True, help="Whether to open it in the web browser."
        ),
    ],
    without=("json", "jsonl", "quiet", "no_input", "verbose"),
)
