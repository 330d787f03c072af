"""Draws what scripts/bench wrote with --json: python plot.py ROWS.json DIRECTORY

Writes ratios.svg (latencies by their floors), rates.svg, scaling.svg and memory.svg; a picture without rows is left out.
"""
import json
import os
import re
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

# The same rows give the same file, and its text can be searched.
plt.rcParams.update({"svg.hashsalt": "troupe", "svg.fonttype": "none", "font.size": 9, "axes.axisbelow": True})

# Okabe and Ito's colours, which most people can tell apart.
COLOURS = {"redis": "#0072B2", "broker": "#E69F00", "peer": "#999999", "other": "#009E73"}
LATENCY_UNITS = {"µs", "ms"}
MULTIPLES = {"": 1, "B": 1, "k": 1e3, "KB": 1e3, "M": 1e6, "MB": 1e6}
GOAL = 2


def kind(name):
    """Whose row it is, for its colour."""
    parts = name.split(".")
    if parts[0] == "peer":
        return "peer"
    return next((part for part in parts if part in ("redis", "broker")), "other")


def number(text):
    """10k, 1M, 100B or 10KB as a number."""
    digits, multiple = re.fullmatch(r"(\d+)([A-Za-z]*)", text).groups()
    return int(digits) * MULTIPLES[multiple]


def save(figure, directory, name):
    figure.savefig(os.path.join(directory, name), bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    print(os.path.join(directory, name))


def bars(rows, value, title, label, lines=(), floors=False):
    """A bar for each row, on a logarithmic axis, in the order of the table."""
    figure, axes = plt.subplots(figsize=(9, 0.6 + 0.19 * len(rows)))
    places = range(len(rows))
    axes.barh(places, [value(row) for row in rows], color=[COLOURS[kind(row["name"])] for row in rows], height=0.7)
    if floors:
        marked = [(place, row["floor"]) for place, row in zip(places, rows) if row["floor"]]
        if marked:
            axes.plot([floor for _, floor in marked], [place for place, _ in marked], "k|", markersize=7, label="floor")
    for place, row in zip(places, rows):
        axes.annotate(short(value(row)), (value(row), place), (3, 0), textcoords="offset points", va="center", size=7)
    for at, text in lines:
        axes.axvline(at, color="black", linewidth=0.8, linestyle=":", label=text)
    axes.set_xscale("log")
    axes.set_yticks(places, [described(row) for row in rows], size=7)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set(title=title, xlabel=label)
    axes.grid(axis="x", alpha=0.3)
    kinds = dict.fromkeys(kind(row["name"]) for row in rows)
    handles = [plt.Rectangle((0, 0), 1, 1, color=COLOURS[name], label=name) for name in kinds]
    handles += axes.get_legend_handles_labels()[0]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(1.01, 0), fontsize=7)
    return figure


def short(value):
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def described(row):
    usual = row["metric"] in ("p50", "calls", "messages", "used", "resident")
    return row["name"] if usual else f"{row['name']}, {row['metric']}"


class Curves:
    """Rows that differ by one number in their names, a curve for each of the rest."""

    def __init__(self, rows):
        self.rows = rows

    def draw(self, axes, pattern, metrics, title, x, y, floors=True, **scales):
        """The pattern has the groups `number` and `rest`."""
        curves = {}
        for row in self.rows:
            found = re.fullmatch(pattern, row["name"])
            if found and row["metric"] in metrics:
                points = curves.setdefault(found["rest"], [])
                points.append((number(found["number"]), row["value"], row["floor"]))
        for rest, points in curves.items():
            points.sort()
            colour = COLOURS[kind(rest)]
            style = "--" if "list" in rest else "-"
            axes.plot([p[0] for p in points], [p[1] for p in points], style, marker="o", color=colour, label=rest)
            if floors and all(p[2] for p in points):
                axes.plot([p[0] for p in points], [p[2] for p in points], ":", color=colour, linewidth=1)
        axes.set(title=title, xlabel=x, ylabel=y, **scales)
        axes.grid(alpha=0.3)
        if curves:
            axes.set_ylim(bottom=None if scales.get("yscale") == "log" else 0)
            axes.legend(fontsize=7)
        return bool(curves)


def scaling(rows):
    curves = Curves(rows)
    figure, grid = plt.subplots(3, 2, figsize=(10, 11), layout="constrained")
    log = {"xscale": "log", "yscale": "log"}
    any_drawn = [
        curves.draw(grid[0][0], r"workers\.(?P<number>\d+)\.(?P<rest>\w+)", ["calls"],
                    "Calls to 64 actors", "worker processes", "calls/s"),
        curves.draw(grid[0][1], r"weak\.(?P<number>\d+)\.(?P<rest>\w+)", ["efficiency"],
                    "Weak scaling, 4 resting actors a worker", "worker processes", "efficiency"),
        curves.draw(grid[1][0], r"state\.(?P<number>\d+K?M?B)\.(?P<rest>\w+)", ["p50"],
                    "Calls by size of the state (p50)", "bytes of state", "µs", **log),
        curves.draw(grid[1][1], r"chain\.hops(?P<number>\d+)\.(?P<rest>\w+)", ["p50"],
                    "A reference to 10 MB along a chain (p50)", "hops", "µs", **log),
        curves.draw(grid[2][0], r"dormant\.(?P<number>\d+[kM])\.(?P<rest>(call|list)\.\w+)", ["p50"],
                    "First calls and pages by dormant actors (p50)", "dormant actors", "µs", xscale="log"),
        curves.draw(grid[2][1], r"dormant\.(?P<number>\d+[kM])\.(?P<rest>failover\.\w+)", ["100 actors"],
                    "A worker's 100 actors taken over", "dormant actors", "ms", xscale="log"),
    ]
    figure.suptitle("Dotted: the floors of the same run")
    return figure if any(any_drawn) else None


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: plot.py ROWS.json DIRECTORY")
    with open(sys.argv[1], encoding="utf-8") as file:
        rows = json.load(file)
    directory = sys.argv[2]
    os.makedirs(directory, exist_ok=True)

    latencies = [r for r in rows if r["unit"] in LATENCY_UNITS and r["ratio"] and r["metric"] not in ("p99", "p50 a call")]
    if latencies:
        lines = [(1, "the floor"), (GOAL, "twice the floor")]
        save(bars(latencies, lambda r: r["ratio"], "Latencies by their floors", "ratio", lines), directory, "ratios.svg")
    rates = [r for r in rows if r["unit"] == "1/s"]
    if rates:
        save(bars(rates, lambda r: r["value"], "Rates", "per second", floors=True), directory, "rates.svg")
    figure = scaling(rows)
    if figure:
        save(figure, directory, "scaling.svg")
    memory = [r for r in rows if r["unit"] in ("B", "KiB") and r["value"] > 0]
    if memory:
        bytes_each = lambda r: r["value"] * (1024 if r["unit"] == "KiB" else 1)  # noqa: E731
        save(bars(memory, bytes_each, "Memory of one actor or message", "bytes"), directory, "memory.svg")


if __name__ == "__main__":
    main()
