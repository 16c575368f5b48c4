"""The command ``openmem``: every verb in the terminal, and what looks after a store.

`openmem.cli.table` has a row for each command, and a module of `openmem.cli.commands` the command itself. A command
that uses a backend is made by `openmem.cli.session.client_command`, and is given a `openmem.cli.session.Session`: the
client, the output and the progress, as the shared options say.
"""

from __future__ import annotations

from .main import main

__all__ = ["main"]
