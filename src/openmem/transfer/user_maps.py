"""Who the users of a source are in the target: a table of two columns."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

from ..errors import InvalidRequestError

MAX_BYTES: Final = 64 * 1024 * 1024


def read_user_map(path: Path) -> dict[str, str]:
    """The table in a CSV file: users of the source, and their names in the target. There is no heading.

    Raises:
        InvalidRequestError: it cannot be read, or a line has other columns, or a user stands there twice.
    """
    users: dict[str, str] = {}
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidRequestError(f"{path}: has more than {MAX_BYTES} bytes")
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.reader(file, strict=True), 1):
                if not row:
                    continue
                if len(row) != 2 or not all(row):
                    raise InvalidRequestError(f"{path}: row {number} does not have two columns; write old,new")
                if row[0] in users:
                    raise InvalidRequestError(f"{path}: row {number} has a user who stands there already")
                users[row[0]] = row[1]
    except OSError as error:
        raise InvalidRequestError(f"{path}: cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"{path}: is not a CSV file in UTF-8") from error
    return users
