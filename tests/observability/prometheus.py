"""A Prometheus of our own, with the shipped rules, and what is asked of it."""

import json
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

from shipped import Dashboard, Query, Rule, with_variables
from waiting import Failure, wait

# The demo is short, so that all of it is within this many seconds.
RECENT = 300
STEP = 2

Series = list[dict[str, Any]]


class Prometheus:
    """Scrapes the servers every second. It ends with this, by its id."""

    def __init__(self, folder: Path, servers: list[str], rules: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.began = time.time()
        self.targets = len(servers)
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [
                {"job_name": "b3scale", "static_configs": [{"targets": [server.removeprefix("http://") for server in servers]}]}
            ],
        }
        # JSON is YAML, too.
        (folder / "prometheus.yml").write_text(json.dumps(config))
        self.log = folder / "prometheus.log"
        self.command = [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={self.address}",
        ]

    def __enter__(self) -> Self:
        with self.log.open("w") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        try:
            wait("Prometheus", 30, self._is_ready)
            wait("Prometheus to have scraped every server", 30, lambda: len(self.instant("up")) == self.targets)
        except BaseException as error:
            self.__exit__()
            raise Failure(f"{error}:\n{self.log.read_text()[-2000:]}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def ask(self, path: str, **params: object) -> Any:
        content = urllib.parse.urlencode(params).encode() if params else None
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}", content, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise Failure(f"Prometheus on {params}: {error.read().decode()}") from None

    def rules(self) -> list[Rule]:
        groups = self.ask("rules")["groups"]
        return [Rule.read(rule) for group in groups for rule in group["rules"]]

    def alerts(self) -> list[dict[str, Any]]:
        return self.ask("alerts")["alerts"]

    def instant(self, expression: str) -> Series:
        return self.ask("query", query=expression)["result"]

    def latest(self, expression: str) -> Series:
        return [one for one in self.instant(expression) if one["value"][1] != "NaN"]

    def recent(self, expression: str, since: float | None = None, step: int = STEP) -> Series:
        now = time.time()
        series = self.ask("query_range", query=expression, start=since or now - RECENT, end=now, step=step)["result"]
        return [one for one in series if any(value != "NaN" for _, value in one["values"])]

    def metrics(self) -> set[str]:
        """The names of all metrics that servers have shown."""
        series = (name for name in self.ask("label/__name__/values") if name.startswith(("b3scale_", "process_")))
        return {re.sub(r"_seconds_(?:bucket|sum|count)$", "_seconds", name) for name in series}

    def everything(self) -> str:
        """Every value of every label that was ever scraped."""
        return "\n".join(value for label in self.ask("labels") for value in self.ask(f"label/{label}/values"))

    def fill(self, dashboard: Dashboard, variables: dict[str, str]) -> dict[str, Any]:
        """A dashboard with the data of all that was scraped."""
        panels = []
        for panel in dashboard.panels:
            queries = [self._fill(query, variables) for query in dashboard.queries() if query.panel is panel]
            panels.append({"panel": panel, "queries": queries})
        return {"name": dashboard.name, "title": dashboard.title, "rows": dashboard.rows, "panels": panels}

    def _fill(self, query: Query, variables: dict[str, str]) -> dict[str, Any]:
        # Each bar counts samples since the previous one.
        step = 5 if "$__interval" in query.expression else 1
        expression = with_variables(query.expression, variables, rate="10s", interval=f"{step}s")
        series = self.latest(expression) if query.instant else self.recent(expression, self.began, step)
        return {"legend": query.legend, "series": series}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
