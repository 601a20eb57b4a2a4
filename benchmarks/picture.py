"""A bar chart as SVG: seconds on a log scale, for light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

WIDTH, LEFT, RIGHT = 720, 150, 70
BAR, GAP, GROUP = 14, 5, 34

STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.group { font-weight: 600 } .small { fill: #656d76 }
line { stroke: #d0d7de } .bar { fill: #8c959f } .highlighted { fill: #1a7f37 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #8d96a0 }
  line { stroke: #30363d } .bar { fill: #6e7681 } .highlighted { fill: #3fb950 }
}"""


def draw(title: str, groups: Mapping[str, Sequence[tuple[str, float]]], highlighted: str) -> str:
    """Return the chart of named groups of bars (name and seconds), with one name highlighted."""
    values = [seconds for bars in groups.values() for _, seconds in bars]
    low, high = min(values) / 2, max(values)

    def at(seconds: float) -> float:
        share = math.log10(seconds / low) / math.log10(high / low)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    height = 30 + sum(GROUP + len(bars) * (BAR + GAP) for bars in groups.values()) + 30
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    body = [
        *_axis([10.0**power for power in powers], at, height),
        f'<text x="{LEFT}" y="16" class="small">{title}</text>',
    ]
    y = 30
    for group, bars in groups.items():
        body.append(f'<text x="{LEFT}" y="{y + 20}" class="group">{group}</text>')
        y += GROUP - 6
        for name, seconds in bars:
            kind = "bar highlighted" if name == highlighted else "bar"
            body += [
                f'<text x="{LEFT - 8}" y="{y + 11}" text-anchor="end">{name}</text>',
                f'<rect x="{LEFT}" y="{y}" width="{at(seconds) - LEFT:.1f}" height="{BAR}" '
                f'rx="2" class="{kind}"/>',
                f'<text x="{at(seconds) + 6}" y="{y + 11}">{_label(seconds)}</text>',
            ]
            y += BAR + GAP
        y += 6
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img" aria-label="{title}">',
            f"<style>{STYLE}</style>",
            *body,
            "</svg>",
            "",
        ]
    )


def _axis(ticks: Sequence[float], at: Callable[[float], float], height: int) -> Iterator[str]:
    for tick in ticks:
        x = at(tick)
        yield f'<line x1="{x}" y1="26" x2="{x}" y2="{height - 22}"/>'
        yield (
            f'<text x="{x}" y="{height - 6}" text-anchor="middle" class="small">{tick:g} s</text>'
        )


def _label(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
