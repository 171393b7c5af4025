"""A bigWig written field by field, in either byte order, so that tests can make what no writer makes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

Block = tuple[int, int, list[tuple[int, int, float]]]  # number of the chromosome, kind 1 to 3, intervals


def write_raw_bigwig(
    path: Path,
    sizes: dict[str, int],
    blocks: Sequence[Block],
    order: str = "<",
    *,
    is_compressed: bool = True,
    per_node: int = 2,
) -> dict[str, int]:
    """Write the file without summary and zoom levels; return where its parts begin."""
    key_bytes = max(map(len, sizes))
    header = 64
    tree = struct.pack(order + "IIIIQQ", 0x78CA8C91, len(sizes), key_bytes, 8, len(sizes), 0)
    tree += struct.pack(order + "BBH", 1, 0, len(sizes))
    for number, (name, size) in enumerate(sizes.items()):
        tree += name.encode().ljust(key_bytes, b"\0") + struct.pack(order + "II", number, size)
    data_at = header + len(tree)
    data, items = struct.pack(order + "Q", len(blocks)), []
    for number, kind, intervals in blocks:
        raw = _block(order, number, kind, intervals)
        raw = zlib.compress(raw) if is_compressed else raw
        span = (number, intervals[0][0], number, max(end for _, end, _ in intervals))
        items.append((*span, data_at + len(data), len(raw)))
        data += raw
    index_at = data_at + len(data)
    index = struct.pack(order + "IIQIIIIQII", 0x2468ACE0, per_node, len(items), 0, 0, 0, 0, index_at, 1, 0)
    index += _tree(order, items, index_at + len(index), per_node)
    magic = struct.pack(order + "I", 0x888FFC26)
    head = magic + struct.pack(
        order + "HHQQQHHQQIQ", 4, 0, header, data_at, index_at, 0, 0, 0, 0, 65536 * is_compressed, 0
    )
    path.write_bytes(head + tree + data + index + magic)
    return {"tree": header, "data": data_at, "index": index_at}


def _block(order: str, number: int, kind: int, intervals: list[tuple[int, int, float]]) -> bytes:
    first, step = intervals[0], intervals[1][0] - intervals[0][0] if kind == 3 and len(intervals) > 1 else 0
    span = first[1] - first[0]
    raw = struct.pack(order + "IIIIIBBH", number, first[0], intervals[-1][1], step, span, kind, 0, len(intervals))
    for start, end, value in intervals:
        raw += struct.pack(order + {1: "IIf", 2: "If", 3: "f"}[kind], *(start, end)[: 3 - kind], value)
    return raw


def _tree(order: str, items: list[tuple[int, ...]], at: int, per_node: int) -> bytes:
    """The node at ``at`` over all items, and below it what it leads to."""
    if len(items) <= per_node:
        leaves = b"".join(struct.pack(order + "IIIIQQ", *item) for item in items)
        return struct.pack(order + "BBH", 1, 0, len(items)) + leaves
    size = -(-len(items) // per_node)
    groups = [items[n : n + size] for n in range(0, len(items), size)]
    node, below = struct.pack(order + "BBH", 0, 0, len(groups)), b""
    for group in groups:
        place = at + 4 + 24 * len(groups) + len(below)
        end = max((item[2], item[3]) for item in group)
        node += struct.pack(order + "IIIIQ", *group[0][:2], *end, place)
        below += _tree(order, group, place, per_node)
    return node + below
