"""The plots of a result, for a page with a light background."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt  # the backend is chosen first

from .peers import FLOOR, SYSTEMS
from .results import Result
from .tables import WANTED, times

LATENCY: Final = "latency.png"
THROUGHPUT: Final = "throughput.png"
_COLOURS: Final = {
    FLOOR: "#767676",
    "openmem": "#1f5fbf",
    "openmem-sync": "#7fa8e0",
    "langgraph": "#c77700",
    "mem0": "#b3261e",
}
_GAP: Final = 0.055  # between two labels, as a share of the axis
_STYLE: Final = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def draw(result: Result, folder: Path) -> list[str]:
    """Write the plots that the result has numbers for, and return their names."""
    written = []
    with plt.rc_context(_STYLE):
        if len(result.sizes) > 1:
            _save(_latency(result), folder / LATENCY)
            written.append(LATENCY)
        if result.throughput:
            _save(_throughput(result), folder / THROUGHPUT)
            written.append(THROUGHPUT)
    return written


def _latency(result: Result) -> Any:
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    sizes = list(result.sizes)
    ends: list[tuple[float, str]] = []
    for name in result.systems:
        found = [result.sizes[size][name] for size in sizes]
        p50 = [latency.p50 for latency in found]
        axes.plot(sizes, p50, color=_COLOURS[name], linewidth=2.2 if name.startswith("openmem") else 1.6)
        for size, latency in zip(sizes, found, strict=True):
            full = latency.results >= min(WANTED, size) - 0.05
            axes.plot(size, latency.p50, "o", color=_COLOURS[name], markerfacecolor=_COLOURS[name] if full else "white")
        ends.append((p50[-1], name))
    axes.set(xscale="log", yscale="log", xlabel="memories of the user", ylabel="ms")
    axes.set_title("Search for ten results, median, by the number of memories a user has")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    for height, name in _apart(axes, ends):
        axes.annotate(SYSTEMS[name].title, (1.02, height), xycoords="axes fraction", color=_COLOURS[name], va="center")
    figure.supxlabel(
        f"One store of {result.store:,} memories. Hollow: fewer than {WANTED} results came back.",
        fontsize=9, color="#555555", x=0.02, ha="left",
    )  # fmt: skip
    return figure


def _apart(axes: Any, ends: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Heights of the labels on the axis, from 0 to 1, as near to the ends of the lines as they fit."""
    to_axes = axes.transAxes.inverted()
    heights = sorted((float(to_axes.transform(axes.transData.transform((1, value)))[1]), name) for value, name in ends)
    placed: list[tuple[float, str]] = []
    for height, name in heights:
        placed.append((max(height, placed[-1][0] + _GAP) if placed else height, name))
    return placed


def _throughput(result: Result) -> Any:
    figure, both = plt.subplots(1, 2, figsize=(9, 2.9), sharey=True, layout="constrained")
    names = list(reversed(result.systems))
    for axes, (verb, rates) in zip(both, result.throughput.items(), strict=True):
        floor = rates[FLOOR].median
        values = [rates[name].median for name in names]
        axes.barh(
            [SYSTEMS[name].title for name in names], values, color=[_COLOURS[name] for name in names], height=0.62
        )
        for position, value in enumerate(values):
            axes.annotate(
                f" {times(value, floor)}  {value:,.0f}/s", (value, position), va="center", fontsize=10, color="#333333"
            )
        axes.set_xlim(0, max(values) * 1.38)
        axes.set_title(f"{verb}, {result.tasks} at a time")
        axes.tick_params(left=False, bottom=False, labelbottom=False)
        axes.spines[["left", "bottom"]].set_visible(False)
    return figure


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=140, metadata={"Software": None})
    plt.close(figure)
