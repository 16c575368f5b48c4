from __future__ import annotations
import zlib
from collections.abc import Sequence
from ..io import Vectors


class HashingEmbedder:
    model = "hashing:256"
    dim = 256

    def embed(self, texts: Sequence[str]) -> Vectors:
        out = []
        for t in texts:
            v = [0.0] * 256
            for w in t.lower().split():
                v[zlib.crc32(w.encode()) % 256] += 1.0
            n = sum(x * x for x in v) ** 0.5 or 1.0
            out.append([x / n for x in v])
        return out
