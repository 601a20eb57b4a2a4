"""Pure: charts as SVG, without scripts, in colours that most people can distinguish."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6d1f", "#888888")
"""Of Okabe and Ito, the last one for what is left over."""

OTHERS = "others"

WIDTH, HEIGHT = 720, 210
LEFT, RIGHT, TOP, BOTTOM = 70, 8, 12, 30

Series = Mapping[str, Sequence[float]]
"""Values by the name of a line or of a part of each bar, one for each day."""

Format = Callable[[float], str]


def largest(series: Series) -> dict[str, Sequence[float]]:
    """Return the series with the largest sums, and the sum of all other ones."""
    names = sorted(series, key=lambda name: (-sum(series[name]), name))
    most = len(COLOURS) - 1 if len(names) > len(COLOURS) else len(names)
    found: dict[str, Sequence[float]] = {name: series[name] for name in names[:most]}
    if rest := [series[name] for name in names[most:]]:
        found[OTHERS] = [sum(values) for values in zip(*rest, strict=True)]
    return found


def bars(title: str, days: Sequence[str], series: Series, text: Format) -> str:
    """Return stacked bars, one for each day; nothing if all values are 0."""
    series = largest(series)
    sums = [sum(values) for values in zip(*series.values(), strict=True)] if series else []
    if not any(sums):
        return ""
    top = rounded(max(sums))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(days))
    parts = []
    for at, day in enumerate(days):
        y = float(HEIGHT - BOTTOM)
        for colour, (name, values) in zip(COLOURS, series.items(), strict=False):
            height = _height(values[at], top)
            if height <= 0:
                continue
            y -= height
            parts.append(
                f'<rect x="{LEFT + at * step + step * 0.1:.1f}" y="{y:.1f}"'
                f' width="{step * 0.8:.1f}" height="{height:.1f}" fill="{colour}">'
                f"<title>{escape(f'{day}, {name}: {text(values[at])}')}</title></rect>"
            )
    return _framed(title, days, top, text, parts) + _legend(series)


def lines(
    title: str, days: Sequence[str], series: Mapping[str, Sequence[float | None]], text: Format
) -> str:
    """Return one line for each name; ``None`` is a gap. Nothing if all values are gaps."""
    values = [value for each in series.values() for value in each if value is not None]
    if not values:
        return ""
    top = rounded(max(values))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(days))
    parts = []
    for colour, (name, each) in zip(COLOURS, series.items(), strict=False):
        path, is_open = [], False
        for at, value in enumerate(each):
            if value is None:
                is_open = False
                continue
            x, y = LEFT + (at + 0.5) * step, HEIGHT - BOTTOM - _height(value, top)
            path.append(f"{'L' if is_open else 'M'}{x:.1f} {y:.1f}")
            is_open = True
            hint = escape(f"{days[at]}, {name}: {text(value)}")
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}">'
                f"<title>{hint}</title></circle>"
            )
        parts.append(
            f'<path d="{" ".join(path)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
    return _framed(title, days, top, text, parts) + _legend(series)


def rounded(value: float) -> float:
    """Return the top of an axis: 1, 2 or 5 times a power of ten, at least ``value``."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * 0.999999)


def _height(value: float, top: float) -> float:
    return max(0.0, value) / top * (HEIGHT - TOP - BOTTOM)


def _framed(title: str, days: Sequence[str], top: float, text: Format, parts: Sequence[str]) -> str:
    """Return a chart with its axes."""
    axes = []
    labels = [text(0), text(top)]
    for part in (0, 0.5, 1):
        y = HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
        axes.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        if part in (0, 1) or text(top * part) not in labels:  # no half of a turn
            axes.append(
                f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
                f"{escape(text(top * part))}</text>"
            )
    step = (WIDTH - LEFT - RIGHT) / max(1, len(days))
    every = max(1, math.ceil(len(days) / 8))
    for at in range(0, len(days), every):
        axes.append(
            f'<text x="{LEFT + (at + 0.5) * step:.1f}" y="{HEIGHT - 6}" text-anchor="middle">'
            f"{escape(days[at][5:])}</text>"
        )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(axes)}{''.join(parts)}</svg>"
    )


def _legend(series: Mapping[str, object]) -> str:
    items = "".join(
        f'<li><span style="background:{colour}"></span>{escape(name)}</li>'
        for colour, name in zip(COLOURS, series, strict=False)
    )
    return f'<ul class="legend">{items}</ul>'
