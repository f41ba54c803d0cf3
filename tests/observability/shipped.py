"""What is shipped: the metrics there are, the dashboards, the rules and the runbook, and what can be said of them without data."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from waiting import Failure

# What every series has that Prometheus scraped.
TARGET = {"instance", "job"}
# Series that are Prometheus's own.
FOREIGN = {
    "up": TARGET,
    "ALERTS": TARGET | {"alertname", "alertstate", "severity", "backend", "frontend", "call", "check"},
}
WORDS = {"and", "or", "unless", "by", "on", "without", "ignoring", "offset", "bool", "group_left", "group_right"}
SELECTOR = re.compile(r"(?<![\w:.$])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(?=\s*([\[(]?))")
GROUPING = re.compile(r"\b(by|on|without|ignoring)\s*\(([^)]*)\)")
COMPARISON = re.compile(r"^(?P<query>.*\S)\s*(?P<operator>[<>=!]=|[<>])\s*(?P<number>-?[\d.]+)$", re.DOTALL)


@dataclass(frozen=True)
class Metric:
    """A metric of the catalog."""

    kind: str
    labels: frozenset[str]


Catalog = dict[str, Metric]


@dataclass(frozen=True)
class Query:
    """One query, and where it stands."""

    place: str
    expression: str
    legend: str = ""
    instant: bool = False
    panel: Any = None

    def legend_labels(self) -> list[str]:
        return re.findall(r"\{\{\s*(\w+)\s*\}\}", self.legend)


@dataclass(frozen=True)
class Rule:
    """A rule as Prometheus has read it."""

    name: str
    is_alert: bool
    written: str
    annotations: dict[str, str]
    labels: dict[str, str]

    @classmethod
    def read(cls, rule: dict[str, Any]) -> Self:
        kind = rule["type"] == "alerting"
        return cls(rule["name"], kind, rule["query"], rule.get("annotations", {}), rule.get("labels", {}))

    @property
    def query(self) -> Query:
        """What it asks. Of an alert without the comparison, which is empty while all is well."""
        if not self.is_alert:
            return Query(self.name, self.written)
        found = COMPARISON.match(self.written)
        outside = re.sub(r"\([^()]*\)", "", flat(found["query"])) if found else ""
        if not found or set(outside.split()) & {"and", "or", "unless"}:
            raise Failure(f"{self.name} does not compare one query with one number: {self.written}")
        return Query(self.name, found["query"])


class Dashboard:
    """A dashboard of Grafana."""

    def __init__(self, file: Path) -> None:
        document = json.loads(file.read_text())
        self.document = document
        self.name, self.uid, self.title = file.name, document["uid"], document["title"]
        self.panels = [panel for panel in document["panels"] if panel["type"] != "row"]
        self.rows = [panel for panel in document["panels"] if panel["type"] == "row"]

    def queries(self) -> list[Query]:
        return [
            Query(f"{self.name}, {panel['title']}", target["expr"], target["legendFormat"], target.get("instant", False), panel)
            for panel in self.panels
            for target in panel["targets"]
        ]


def read_catalog(file: Path) -> Catalog:
    declared = re.findall(r'^    (Counter|Gauge|Histogram|Figure|Reading) \w+ = "(\w+)" \[(.*?)\]$', file.read_text(), re.MULTILINE)
    catalog = {name: Metric(kind, frozenset(re.findall(r"(\w+)(?: =|,|$)", strip(labels)))) for kind, name, labels in declared}
    if len(catalog) < 20:
        raise Failure(f"the metrics are not where they are looked for, in {file.name}")
    return catalog


def read_dashboards(folder: Path) -> list[Dashboard]:
    return [Dashboard(file) for file in sorted(folder.glob("*.json"))]


def read_queries(file: Path) -> list[Query]:
    """What a document has in backticks and is a query."""
    codes = re.findall(r"`([^`\n]+)`", file.read_text())
    return [Query(file.name, code) for code in codes if re.search(r"\b(b3scale|process)_[a-z]|\bup\{", code) and "/" not in code]


def strip(expression: str) -> str:
    """Without texts."""
    return re.sub(r'"(?:\\.|[^"\\])*"', '""', expression)


def flat(expression: str) -> str:
    """Without what is in the inner parentheses."""
    while (shorter := re.sub(r"\([^()]*\)", "", expression)) != expression:
        expression = shorter
    return expression


def with_variables(expression: str, variables: dict[str, str] | None = None, rate: str = "1m", interval: str = "1m") -> str:
    """As Grafana asks it, with `All` chosen wherever nothing else is."""
    given = {"__rate_interval": rate, "__interval": interval, "__range": "5m"} | (variables or {})
    return re.sub(r"\$(\w+)", lambda name: given.get(name[1], ".+"), expression)


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """The metrics of a query, each with the labels that are asked of it."""
    bare = GROUPING.sub(" ", strip(with_variables(expression)))
    for name, matchers, behind in SELECTOR.findall(bare):
        if behind != "(" and name not in WORDS:
            yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))


def metrics_of(expression: str, catalog: Catalog) -> set[str]:
    """The metrics of the catalog that a query uses."""
    names = {name for name, _ in selectors(expression)}
    return {metric for name in names for metric in (name, re.sub(r"_(bucket|sum|count)$", "", name)) if metric in catalog}


def labels_of(name: str, catalog: Catalog, rules: list[Rule]) -> set[str] | None:
    """The labels that a series may have. `None`: there is no such metric."""
    if name in FOREIGN:
        return FOREIGN[name]
    metric = catalog.get(name)
    if metric and metric.kind != "Histogram":
        return set(metric.labels) | TARGET
    family = catalog.get(re.sub(r"_(bucket|sum|count)$", "", name))
    if family and family.kind == "Histogram" and not metric:
        return set(family.labels) | TARGET | ({"le"} if name.endswith("_bucket") else set())
    if any(rule.name == name for rule in rules):
        # A recorded series is named after its remaining label.
        level = name.split(":")[0]
        return set() if level == "cluster" else {level} | (TARGET if level == "instance" else set())
    return None


def check_query(query: Query, catalog: Catalog, rules: list[Rule]) -> None:
    known: set[str] = set()
    for name, asked in selectors(query.expression):
        labels = labels_of(name, catalog, rules)
        if labels is None:
            raise Failure(f"{query.place} uses {name}, which there is not")
        if wrong := asked - labels:
            raise Failure(f"{query.place} asks {name} for {sorted(wrong)}, which it does not have")
        known |= labels
    for _, names in GROUPING.findall(query.expression):
        if wrong := {name.strip() for name in names.split(",") if name.strip()} - known:
            raise Failure(f"{query.place} groups by {sorted(wrong)}, which none of its metrics has")


def check_dashboard(dashboard: Dashboard, uids: set[str]) -> None:
    document = dashboard.document
    places: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        if places & cells or at["x"] + at["w"] > 24:
            raise Failure(f"{dashboard.name}: {panel['title']} lies over another panel or outside")
        places |= cells
    for panel in dashboard.panels:
        description = panel.get("description", "")
        if not description.endswith(".") or ". " in description:
            raise Failure(f"{dashboard.name}: {panel['title']} is not described in one sentence")
        if panel["datasource"] != {"type": "prometheus", "uid": "${datasource}"}:
            raise Failure(f"{dashboard.name}: {panel['title']} does not use the data source that can be chosen")
    titles = [(panel["type"], panel["title"]) for panel in dashboard.panels]
    if twice := {title for title in titles if titles.count(title) > 1}:
        raise Failure(f"{dashboard.name}: {sorted(twice)} are there twice")
    variables = {variable["name"] for variable in document["templating"]["list"]}
    used = {name for query in dashboard.queries() for name in re.findall(r"\$([a-z]\w*)", query.expression)}
    if used | {"datasource"} != variables:
        raise Failure(f"{dashboard.name}: has the variables {sorted(variables)} and uses {sorted(used)}")
    if wrong := set(re.findall(r"/d/([\w-]+)", json.dumps(document))) - uids:
        raise Failure(f"{dashboard.name}: leads to {sorted(wrong)}, which there is not")


def check_runbook(alerts: list[Rule], file: Path) -> None:
    sections = re.findall(r"^## (\S+)$", file.read_text(), re.MULTILINE)
    names = [alert.name for alert in alerts]
    if sorted(sections) != sorted(names):
        missing, strange = sorted(set(names) - set(sections)), sorted(set(sections) - set(names))
        raise Failure(f"{file.name}: there is no section for {missing}, and no alert for {strange}, or one is there twice")
    for alert in alerts:
        if alert.annotations.get("runbook") != f"docs/runbook.md#{alert.name.lower()}":
            raise Failure(f"{alert.name} does not lead to its section of the runbook")
        if alert.labels.get("severity") not in ("warning", "critical") or not {"summary", "description"} <= alert.annotations.keys():
            raise Failure(f"{alert.name} lacks a severity, a summary or a description")
