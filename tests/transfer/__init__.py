"""Memories that move: exports, imports, migrations."""
