"""Reads ``.omp.jsonl``: the memories that openmem exports."""
