"""The request table as a picture: one bar an engine, one group a kind of request."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .engines import Engine
from .measuring import Times
from .requests import ACTIVE, LOGIN, MODIFY, READ

SHOWN = (READ, ACTIVE, MODIFY, LOGIN)
# Pixels.
WIDTH, LEFT, BAR, GAP, GROUP, TOP = 760, 190, 16, 4, 44, 56
# Told apart by lightness too, for those who see no colour.
OURS, OTHERS = "#0b5394", "#b7bfc8"


def draw(engines: Sequence[Engine], times: Times, command: str) -> str:
    """Return an SVG of what each engine adds to a request."""
    bars: list[str] = []
    y = TOP
    for scenario in SHOWN:
        values = {
            engine: times.added(scenario, engine.label) or 0.0 for engine in engines
        }
        longest = max(values.values(), default=0.0) or 1.0
        bars.append(_text(12, y, scenario, weight="bold"))
        y += 12
        for engine, value in values.items():
            length = (WIDTH - LEFT - 90) * value / longest
            colour = OURS if engine.is_ours else OTHERS
            bars.append(_text(LEFT - 8, y + BAR - 4, engine.label, anchor="end"))
            bars.append(
                f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" '
                f'fill="{colour}"/>'
            )
            bars.append(_text(LEFT + length + 6, y + BAR - 4, f"{value:,.0f} µs"))
            y += BAR + GAP
        y += GROUP - 12
    title = "Time the session layer adds to a request"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" '
            f'viewBox="0 0 {WIDTH} {y}" role="img" '
            'font-family="system-ui, sans-serif" font-size="12">',
            f"<!-- Written by {escape(command)} -->",
            f"<title>{title}</title>",
            f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>',
            _text(12, 24, f"{title}, in microseconds; shorter is better", size=14),
            *bars,
            "</svg>",
            "",
        ]
    )


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    weight: str = "normal",
    size: int = 12,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" '
        f'font-size="{size}" fill="#1b1f24">{escape(text)}</text>'
    )
