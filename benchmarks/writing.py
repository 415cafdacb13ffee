"""Paragraphs and tables, as reStructuredText for the docs or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A titled table, its first column to the left and the others to the right."""

    title: str
    head: Sequence[str]
    body: Sequence[Sequence[str]]


# A paragraph is written in what both languages share, but for ``literals``.
Block = str | Table


def restructured(blocks: Sequence[Block], source: str) -> str:
    """Return the blocks for an ``include``, with a note of what wrote them."""
    lines = [f".. Written by ``{source}``. Changes by hand will be lost.", ""]
    for block in blocks:
        lines += [block, ""] if isinstance(block, str) else _simple(block)
    return "\n".join(lines).rstrip() + "\n"


def markdown(blocks: Sequence[Block], source: str, title: str) -> str:
    """Return the blocks as a page of their own."""
    lines = [
        f"<!-- Written by {source}. Changes by hand will be lost. -->",
        "",
        f"# {title}",
        "",
    ]
    for block in blocks:
        lines += [block, ""] if isinstance(block, str) else _piped(block)
    return "\n".join(lines).replace("``", "`").rstrip() + "\n"


def _simple(table: Table) -> list[str]:
    widths = [max(map(len, column)) for column in _columns(table)]
    rule = "  ".join("=" * max(width, 1) for width in widths)
    lines = [_aligned(row, widths, "  ").rstrip() for row in (table.head, *table.body)]
    return [f"**{table.title}**", "", rule, lines[0], rule, *lines[1:], rule, ""]


def _piped(table: Table) -> list[str]:
    widths = [max(3, *map(len, column)) for column in _columns(table)]
    rule = [
        "-" * (width - 1) + ":" if n else "-" * width for n, width in enumerate(widths)
    ]
    rows = [
        f"| {_aligned(row, widths, ' | ')} |" for row in (table.head, rule, *table.body)
    ]
    return [f"**{table.title}**", "", *rows, ""]


def _columns(table: Table) -> list[tuple[str, ...]]:
    return list(zip(table.head, *table.body, strict=True))


def _aligned(row: Sequence[str], widths: Sequence[int], gap: str) -> str:
    return gap.join(
        cell.rjust(width) if n else cell.ljust(width)
        for n, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
