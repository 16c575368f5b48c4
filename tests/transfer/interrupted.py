"""Imports a file into a database, as a process that can be killed.

Its arguments are the file's path, the database's URL, and how many records are stored at a time.
"""

from __future__ import annotations

import sys

from openmem import Memory, transfer
from openmem.transfer import importing

if __name__ == "__main__":
    path, url, batch = sys.argv[1:]
    vars(importing)["BATCH_RECORDS"] = int(batch)
    with Memory("postgres", url=url, embedder="hashing") as memory:
        report = transfer.import_(memory, "omp", path, on_progress=lambda seen: print(seen.memories, flush=True))
    print("done", report.written, report.equal, flush=True)
