"""Pictures as SVG: bars and points, whose colors are classes of ``static/ui.css``. Text from memory is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from markupsafe import Markup

from ..explanations import Explanation

WIDTH: Final = 720
HEIGHT: Final = 220
_BAR_WIDTH: Final = 100
_BAR_HEIGHT: Final = 8
_LEFT: Final = 40
_BOTTOM: Final = 24
_TOP: Final = 10
SERIES: Final = 6
"""How many colors there are."""

PARTS: Final = ("meaning", "words", "dates", "neighbor")


def score_bar(explanation: Explanation) -> Markup:
    """A score as a bar of its parts. The text beside it says the same."""
    x, bars = 0.0, []
    for name in PARTS:
        width = _BAR_WIDTH * float(getattr(explanation, name))
        bars.append(_rect(x, 0, width, _BAR_HEIGHT, f"part-{name}"))
        x += width
    return Markup(
        '<svg class="bar" aria-hidden="true" width="{w}" height="{h}" viewBox="0 0 {w} {h}">'
        '<rect class="rest" width="{w}" height="{h}"></rect>{bars}</svg>'
    ).format(w=_BAR_WIDTH, h=_BAR_HEIGHT, bars=Markup("").join(bars))


def columns(id: str, title: str, description: str, labels: Sequence[str], series: Sequence[Sequence[int]]) -> Markup:
    """Columns over a time, each made of one part for each series.

    Args:
        id: of the picture, unique in the page.
        labels: of the columns; some of them are shown.
        series: the numbers of the columns, up to `SERIES` of them.
    """
    totals = [sum(numbers) for numbers in zip(*series, strict=True)]
    most = max([*totals, 1])
    step = (WIDTH - _LEFT) / max(len(labels), 1)
    room = HEIGHT - _BOTTOM - _TOP
    shapes = [_line(_LEFT, HEIGHT - _BOTTOM, WIDTH), _text(_LEFT - 6, _TOP + 5, f"{most:,}", "end")]
    shapes.append(_text(_LEFT - 6, HEIGHT - _BOTTOM, "0", "end"))
    every = max(1, -(-len(labels) // 8))
    for number, label in enumerate(labels):
        left, y = _LEFT + number * step, float(HEIGHT - _BOTTOM)
        for index, numbers in enumerate(series):
            height = room * numbers[number] / most
            y -= height
            if height:
                shapes.append(_rect(left + 0.1 * step, y, 0.8 * step, height, f"series-{index}"))
        if number % every == 0:
            shapes.append(_text(left + step / 2, HEIGHT - 6, label, "middle"))
    return _picture(id, title, description, shapes)


def points(id: str, title: str, description: str, places: Iterable[tuple[float, float, int, str, str]]) -> Markup:
    """Points on a plane, each a link that the keyboard skips: a list beside the picture has the same links.

    Args:
        places: of each point its x and y, 0 to 1, its series, where its link leads, and its name.
    """
    margin, width, height = 12, WIDTH - 24, 2 * HEIGHT - 24
    shapes = [
        Markup(
            '<a href="{}" tabindex="-1"><circle class="series-{}" cx="{:.1f}" cy="{:.1f}" r="6">'
            "<title>{}</title></circle></a>"
        ).format(link, series, margin + x * width, margin + (1 - y) * height, name)
        for x, y, series, link, name in places
    ]
    return _picture(id, title, description, shapes, 2 * HEIGHT)


def _picture(id: str, title: str, description: str, shapes: Iterable[Markup], height: int = HEIGHT) -> Markup:
    return Markup(
        '<svg class="chart" role="group" aria-labelledby="{id}-title {id}-desc" viewBox="0 0 {w} {h}">'
        '<title id="{id}-title">{title}</title><desc id="{id}-desc">{description}</desc>{shapes}</svg>'
    ).format(id=id, w=WIDTH, h=height, title=title, description=description, shapes=Markup("").join(shapes))


def _rect(x: float, y: float, width: float, height: float, name: str) -> Markup:
    return Markup('<rect class="{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"></rect>').format(
        name, x, y, width, height
    )


def _line(x: float, y: float, to: float) -> Markup:
    return Markup('<line class="axis" x1="{0}" y1="{1}" x2="{2}" y2="{1}"></line>').format(x, y, to)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)
