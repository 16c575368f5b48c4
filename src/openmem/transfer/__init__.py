"""Memories that move: files of memories, imports from other systems, and migrations between backends.

A *reader* turns one format into records; see `openmem.transfer.records`. What takes records to a backend does not know
where they came from.
"""
