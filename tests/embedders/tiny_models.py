"""Models of a few words in the file formats of real ones, so that nothing is downloaded."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from pathlib import Path

WORDS = ("[UNK]", "[PAD]", "green", "tea", "black", "coffee", "query:", "passage:")
DIM = 8


def vector_of(word: str) -> list[float]:
    """A word's row in the table of each model: all are at right angles."""
    return [float(place == WORDS.index(word)) for place in range(DIM)]


def save_tokenizer(directory: Path) -> None:
    """A tokenizer of words, in the format of the package ``tokenizers``."""
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "model": {
            "type": "WordLevel",
            "vocab": {word: number for number, word in enumerate(WORDS)},
            "unk_token": WORDS[0],
        },
    }
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))


def save_static_model(directory: Path) -> None:
    """A model of Model2Vec: a table of words in the format of safetensors."""
    save_tokenizer(directory)
    data = b"".join(struct.pack(f"<{DIM}f", *vector_of(word)) for word in WORDS)
    tensor = {"dtype": "F32", "shape": [len(WORDS), DIM], "data_offsets": [0, len(data)]}
    header = json.dumps({"embeddings": tensor}).encode()
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + data)
    (directory / "config.json").write_text(json.dumps({"normalize": True, "max_length": 4}))


def save_onnx_model(directory: Path) -> None:
    """A model of FastEmbed: a look-up in a table of words, as ONNX."""
    save_tokenizer(directory)
    (directory / "config.json").write_text(json.dumps({"pad_token_id": 1}))
    (directory / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 512, "pad_token": WORDS[1]}))
    (directory / "special_tokens_map.json").write_text(json.dumps({"pad_token": WORDS[1], "unk_token": WORDS[0]}))
    (directory / "model.onnx").write_bytes(_onnx())


def _onnx() -> bytes:
    table = b"".join(struct.pack(f"<{DIM}f", *vector_of(word)) for word in WORDS)
    tensor = b"".join((_number(1, len(WORDS)), _number(1, DIM), _number(2, 1), _bytes(8, b"table"), _bytes(9, table)))
    names = (_bytes(1, b"table"), _bytes(1, b"input_ids"), _bytes(2, b"last_hidden_state"), _bytes(4, b"Gather"))
    graph = (
        _bytes(1, b"".join(names)),
        _bytes(2, b"tiny"),
        _bytes(5, tensor),
        _bytes(11, _value(b"input_ids", 7, 2)),
        _bytes(11, _value(b"attention_mask", 7, 2)),
        _bytes(12, _value(b"last_hidden_state", 1, 3)),
    )
    return b"".join((_number(1, 8), _bytes(7, b"".join(graph)), _bytes(8, _number(2, 13))))


def _value(name: bytes, element_type: int, rank: int) -> bytes:
    """An input or an output of a graph, of any size."""
    shape = b"".join(_bytes(1, _bytes(2, b"size%d" % axis)) for axis in range(rank))
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, element_type) + _bytes(2, shape)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """A number as protocol buffers write it: seven bits a byte, the lowest first."""

    def digits(rest: int) -> Iterable[int]:
        while rest > 127:
            yield rest & 127 | 128
            rest >>= 7
        yield rest

    return bytes(digits(value))
