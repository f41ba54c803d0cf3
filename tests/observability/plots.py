"""Draws dashboards with the data that their queries returned, laid out as Grafana does. For eyes: it proves nothing."""

import argparse
import json
import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

COLOURS = {"green": "#3d9a4f", "red": "#d64550", "orange": "#e8912d", "blue": "#3b78c3", "text": "#333333"}
PALETTE = ["#3b78c3", "#e8912d", "#3d9a4f", "#d64550", "#8d65c5", "#85594e", "#d579b5", "#7a7a7a", "#b0ad2b", "#34afbf"]
GREY = "#666666"
Series = list[tuple[str, list[float], list[float]]]


class Sheet:
    """One dashboard on one page. `small`: with as few elements as tell the same."""

    def __init__(self, dashboard: dict[str, Any], small: bool = False) -> None:
        self.small = small
        self.dashboard = dashboard
        places = [one["panel"]["gridPos"] for one in dashboard["panels"]]
        self.rows = max(at["y"] + at["h"] for at in places) + 1
        # Inches of a cell of the grid.
        wide, high = (0.5, 0.3) if small else (0.72, 0.36)
        self.figure = plt.figure(figsize=(24 * wide, self.rows * high), facecolor="white")
        times = [point[0] for one in dashboard["panels"] for query in one["queries"] for line in query["series"] for point in line.get("values", ())]
        self.begin, self.end = min(times), max(times)

    def draw(self) -> None:
        self._text(0.1, 0.55, self.dashboard["title"], size=13, weight="bold")
        for row in self.dashboard["rows"]:
            self._text(0.1, row["gridPos"]["y"] + 1.6, row["title"], size=9, weight="bold", color=COLOURS["blue"])
        kinds = {"stat": self._stat, "timeseries": self._lines, "state-timeline": self._states, "heatmap": self._heat, "table": self._table}
        for one in self.dashboard["panels"]:
            panel, at = one["panel"], one["panel"]["gridPos"]
            self.figure.add_artist(plt.Rectangle(*self._box(at, 0.06), fill=False, edgecolor="#d5d5d5", linewidth=0.6))
            self._text(at["x"] + 0.2, at["y"] + 1.65, panel["title"], size=7, weight="bold")
            kinds[panel["type"]](panel, one["queries"])

    def _box(self, at: dict[str, int], margin: float) -> tuple[tuple[float, float], float, float]:
        left, top = at["x"] + margin, at["y"] + 1 + margin
        width, height = at["w"] - 2 * margin, at["h"] - 2 * margin
        return (left / 24, 1 - (top + height) / self.rows), width / 24, height / self.rows

    def _text(self, x: float, y: float, text: str, **style: Any) -> None:
        self.figure.text(x / 24, 1 - y / self.rows, text, va="center", **style)

    def _axes(self, at: dict[str, int], left: float = 1.1, below: float = 1.5) -> Any:
        inner = [(at["x"] + left) / 24, 1 - (at["y"] + 1 + at["h"] - below) / self.rows]
        size = [(at["w"] - left - 0.4) / 24, (at["h"] - below - 1.3) / self.rows]
        axes = self.figure.add_axes((*inner, *size))
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#bbbbbb")
        axes.tick_params(labelsize=6, length=0 if self.small else 2, colors=GREY, pad=1)
        axes.locator_params(axis="y", nbins=3)
        return axes

    def _time(self, axes: Any) -> None:
        whole = self.end - self.begin
        step = next(step for step in (10, 15, 20, 30, 60, 120, 300, 600) if whole / step <= 5)
        ticks = [step * number for number in range(int(whole / step) + 1)]
        axes.set_xlim(0, whole)
        axes.set_xticks(ticks, [f"{tick // 60}:{tick % 60:02}" for tick in ticks])

    def _series(self, queries: list[dict[str, Any]]) -> Series:
        found = []
        for query in queries:
            for line in query["series"]:
                points = [(at - self.begin, float(value)) for at, value in line.get("values", ()) if value not in ("NaN", "+Inf")]
                found.append((legend(query["legend"], line["metric"]), [at for at, _ in points], [value for _, value in points]))
        return sorted(found)

    def _stat(self, panel: dict[str, Any], queries: list[dict[str, Any]]) -> None:
        at, defaults = panel["gridPos"], panel["fieldConfig"]["defaults"]
        by_name = panel["options"]["textMode"] == "name"
        shown = []
        for query in queries:
            for one in query["series"][:3]:
                value, name = float(one["value"][1]), legend(query["legend"], one["metric"])
                shown.append((name if by_name else figure_of(value, defaults), value, "" if by_name else name))
        for number, (text, value, name) in enumerate(shown):
            x = at["x"] + at["w"] * (number + 0.5) / len(shown)
            size = min(15, at["w"] / len(shown) * 60 / max(len(text), 4))
            self._text(x, at["y"] + 1 + at["h"] * 0.6, text, size=size, ha="center", color=colour_at(value, defaults))
            if len(shown) > 1:
                self._text(x, at["y"] + 0.6 + at["h"], name, size=6, ha="center", color=GREY)

    def _lines(self, panel: dict[str, Any], queries: list[dict[str, Any]]) -> None:
        custom, axes, series = panel["fieldConfig"]["defaults"]["custom"], self._axes(panel["gridPos"]), self._series(queries)
        bars, stacked = custom.get("drawStyle") == "bars", custom["stacking"]["mode"] == "normal"
        base: dict[float, float] = {}
        for number, (name, times, values) in enumerate(series):
            colour = colour_of(name, panel) or PALETTE[number % len(PALETTE)]
            below = [base.get(at, 0) for at in times]
            tops = [low + value for low, value in zip(below, values)] if stacked else values
            if bars:
                held = [(at, value, low) for at, value, low in zip(times, values, below) if value] or [(0, 0, 0)]
                axes.bar(*[[one[part] for one in held] for part in (0, 1)], bottom=[low for _, _, low in held], width=4, color=colour, label=name)
            else:
                every = 2 if self.small else 1
                axes.plot(times[::every], tops[::every], color=colour, linewidth=0.9, label=name)
                if stacked:
                    axes.fill_between(times[::every], below[::every], tops[::every], color=colour, alpha=0.25, linewidth=0)
            if stacked:
                base |= dict(zip(times, tops))
        self._time(axes)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda value, _: figure_of(value, panel["fieldConfig"]["defaults"]))
        self._legend(axes, panel["gridPos"], [name for name, _, _ in series])

    def _legend(self, axes: Any, at: dict[str, int], names: list[str]) -> None:
        handles, labels = axes.get_legend_handles_labels()
        labels = [label if len(label) < 34 else label[:32] + "…" for label in labels]
        columns = max(1, min(int(at["w"] * 8 / max(map(len, labels), default=1)), 5 if at["w"] > 10 else 3))
        most = columns * (2 if self.small else 3)
        if len(names) > most:
            labels[most - 1] += f"  (+{len(names) - most})"
        place = axes.get_position()
        self.figure.legend(
            handles[:most], labels[:most], loc="upper left", ncols=columns, fontsize=5.2, frameon=False, handlelength=1,
            bbox_to_anchor=(place.x0 - 0.02, place.y0 - 0.35 / self.rows), borderaxespad=0, labelspacing=0.15, columnspacing=0.9, labelcolor=GREY,
        )

    def _states(self, panel: dict[str, Any], queries: list[dict[str, Any]]) -> None:
        series = self._series(queries)
        longest = max((len(name) for name, _, _ in series), default=1)
        axes = self._axes(panel["gridPos"], left=min(0.4 + longest * 0.105, 6), below=0.9)
        colours = {value: COLOURS[to["color"]] for one in panel["fieldConfig"]["defaults"]["mappings"] for value, to in one["options"].items()}
        for number, (_, times, values) in enumerate(series):
            for start, length, value in stretches(times, values):
                axes.barh(number, length, left=start, height=0.7, color=colours.get(f"{value:g}", GREY))
        axes.set_yticks(range(len(series)), [name for name, _, _ in series])
        axes.set_ylim(len(series) - 0.5, -0.5)
        self._time(axes)

    def _heat(self, panel: dict[str, Any], queries: list[dict[str, Any]]) -> None:
        axes = self._axes(panel["gridPos"], below=0.9)
        lines = sorted(((float(line["metric"]["le"]), dict(line["values"])) for query in queries for line in query["series"]), key=lambda one: one[0])
        times = sorted({at for _, values in lines for at in values})
        totals = [[float(values.get(at, "nan")) for at in times] for _, values in lines]
        grid = [[high - low for high, low in zip(row, totals[number - 1] if number else [0.0] * len(times))] for number, row in enumerate(totals)]
        axes.pcolormesh([at - self.begin for at in times], range(len(lines)), [[math.sqrt(max(value, 0)) for value in row] for row in grid], cmap="Blues")
        axes.set_yticks(range(len(lines)), [figure_of(le, {"unit": "s"}) if le < math.inf else "∞" for le, _ in lines])
        self._time(axes)

    def _table(self, panel: dict[str, Any], queries: list[dict[str, Any]]) -> None:
        at = panel["gridPos"]
        head, rows = table_of(panel, queries)
        fits = int((at["h"] - 1.6) / 0.62)
        lengths = [max([len(name), *(len(row[number]) for row in rows)]) + 2 for number, name in enumerate(head)]
        edges = [sum(lengths[:number]) / sum(lengths) for number in range(len(head))]
        for line, row in enumerate([head, *rows[:fits]]):
            for edge, text in zip(edges, row):
                style = {"weight": "bold", "color": GREY} if line == 0 else {"color": COLOURS["text"]}
                self._text(at["x"] + 0.2 + edge * (at["w"] - 0.4), at["y"] + 2.4 + line * 0.62, text, size=6, **style)


def stretches(times: list[float], values: list[float]) -> list[tuple[float, float, float]]:
    """Where a value begins, for how long it holds, and which it is. A gap is no value."""
    found: list[tuple[float, float, float]] = []
    for at, value in zip(times, values):
        if found and found[-1][2] == value and at - found[-1][0] - found[-1][1] < 2.5:
            found[-1] = (found[-1][0], at - found[-1][0], value)
        else:
            found.append((at, 1, value))
    return found


def legend(form: str, labels: dict[str, str]) -> str:
    if form in ("", "__auto"):
        return ", ".join(labels.values()) or "value"
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda name: labels.get(name[1], ""), form)


def figure_of(value: float, defaults: dict[str, Any]) -> str:
    """A figure in the unit of its panel."""
    for mapping in defaults.get("mappings", ()):
        if to := mapping["options"].get(f"{value:g}"):
            return to["text"]
    match defaults.get("unit", "short"):
        case "s" if value < 0.001 and value > 0:
            return f"{value * 1e6:.3g} µs"
        case "s" if 0 < value < 1:
            return f"{value * 1e3:.3g} ms"
        case "s":
            return f"{value:.3g} s" if value < 120 else f"{value / 60:.0f} min"
        case "percentunit":
            return f"{value:.{defaults.get('decimals', 0 if value >= 0.1 or not value else 1)}%}"
        case "bytes":
            return f"{value / 2**20:.0f} MiB"
        case "reqps" | "cps":
            return f"{value:.3g}/s"
        case _:
            return f"{value:,.{defaults['decimals']}f}" if value % 1 and "decimals" in defaults else f"{value:,.3g}" if value % 1 else f"{value:,.0f}"


def colour_at(value: float, defaults: dict[str, Any]) -> str:
    steps = defaults["thresholds"]["steps"]
    held = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return COLOURS.get(held[-1], GREY)


def colour_of(name: str, panel: dict[str, Any]) -> str | None:
    for override in panel["fieldConfig"]["overrides"]:
        matcher = override["matcher"]
        if matcher["options"] == name or (matcher["id"] == "byRegexp" and re.fullmatch(matcher["options"], name)):
            for one in override["properties"]:
                if one["id"] == "color":
                    return COLOURS.get(one["value"]["fixedColor"])
    return None


def table_of(panel: dict[str, Any], queries: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table, put together as Grafana's transformations do."""
    steps = {step["id"]: step["options"] for step in panel["transformations"]}
    fields, names = steps["filterFieldsByName"]["include"]["names"], steps["organize"]["renameByName"]
    join = steps.get("joinByField", {}).get("byField")
    rows: dict[Any, dict[str, str]] = {}
    for letter, query in zip("ABCDEFGH", queries):
        for number, one in enumerate(query["series"]):
            row = rows.setdefault(one["metric"].get(join) if join else number, {})
            row |= one["metric"] | {"Value" if len(queries) == 1 else f"Value #{letter}": one["value"][1]}
    defaults = panel["fieldConfig"]["defaults"]
    own = {one["matcher"]["options"]: {each["id"]: each["value"] for each in one["properties"]} for one in panel["fieldConfig"]["overrides"]}

    def cell(field: str, row: dict[str, str]) -> str:
        text = row.get(field, "–")
        return figure_of(float(text), defaults | own.get(names[field], {})) if field.startswith("Value") and text != "–" else text or "–"

    ordered = list(rows.values())
    for sort in panel["options"].get("sortBy", ()):
        field = next(field for field, name in names.items() if name == sort["displayName"])
        as_number = field.startswith("Value")
        ordered.sort(key=lambda row: float(row.get(field, 0)) if as_number else row.get(field, ""), reverse=sort["desc"])
    return [names[field] for field in fields], [[cell(field, row) for field in fields] for row in ordered]


def shrunk(text: str) -> str:
    """Without what no browser needs."""
    svg = ElementTree.fromstring(text)
    for element in svg.iter():
        element.text = element.text if element.tag.endswith(("text", "style")) else None
        element.tail = None
        for name, value in element.attrib.items():
            value = re.sub(r"font-family: [^;]*; ?", "", " ".join(value.split()))
            element.set(name, re.sub(r"(\d+\.\d)\d+", r"\1", value))
        if element.get("transform", "").startswith("rotate(-0 "):
            del element.attrib["transform"]
        element[:] = [part for part in opened(element) if not part.tag.endswith("metadata")]
    svg.set("font-family", "sans-serif")
    return ElementTree.tostring(svg, encoding="unicode").replace("><", ">\n<") + "\n"


def opened(element: ElementTree.Element) -> list[ElementTree.Element]:
    """What is in it, with what is in groups that say nothing."""
    parts = [opened(part) if part.tag.endswith("}g") and part.keys() in ([], ["id"]) else [part] for part in element]
    return [part for several in parts for part in several]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--plots", type=Path)
    parser.add_argument("--svg", type=Path)
    arguments = parser.parse_args()
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    plt.rcParams |= {"font.family": "sans-serif", "svg.fonttype": "none", "svg.hashsalt": "b3scale", "path.simplify": True}
    for dashboard in json.loads(arguments.data.read_text()):
        if arguments.plots:
            arguments.plots.mkdir(parents=True, exist_ok=True)
            sheet = Sheet(dashboard)
            sheet.draw()
            sheet.figure.savefig(arguments.plots / dashboard["name"].replace(".json", ".png"), dpi=110)
        if arguments.svg and dashboard["name"] == "cluster.json":
            sheet = Sheet(dashboard, small=True)
            sheet.draw()
            sheet.figure.savefig(arguments.svg, metadata={"Date": None})
            arguments.svg.write_text(shrunk(arguments.svg.read_text()))


main()
