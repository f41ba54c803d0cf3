#!/usr/bin/env python3
"""Proves that what is shipped for observing a cluster works on a real one.

A demo cluster plays its lesson under a real Prometheus with the shipped rules. Frontends go on calling, and a node is killed. Then every
query of every dashboard and every rule has to return data, the node's alert to fire, every alert to have its section in the runbook,
promtool to have nothing to say against configuration, rules and pages, and no secret and nobody's name to be in what was scraped or
logged.

B3SCALED names the program to test; without it, it is built. `--plots DIR` draws each dashboard to a PNG there, `--svg FILE` the one of
the cluster to an SVG; both install matplotlib below target/observability, unless it is there.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import shipped
from cluster import Api, Demo, Node, call
from prometheus import Prometheus
from traffic import PEOPLE, Traffic
from waiting import Failure, say, wait

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PLACE = TARGET / "observability"
RUNBOOK = ROOT / "docs/runbook.md"
TESTS = Path(__file__).resolve().with_name("rules_test.yml")
MATPLOTLIB = "3.11.2"
# How many people the school may have, which are not many more than come.
LIMIT = 60
# So many people are there when a node is killed.
CROWD = 25
LONELY = "the secret of a frontend without nodes"
# A JSON web token begins like this, and a signed query ends like that.
SIGNS = ("eyJ", "checksum=")


def main() -> None:
    arguments = parse()
    needed = ["prometheus", "promtool", "redis-server"]
    if missing := [name for name in needed if not shutil.which(name)]:
        sys.exit(f"observability: {', '.join(missing)} cannot be found; tests/install installs it")
    began = time.monotonic()
    # SIGTERM also ends the processes started here.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="b3o") as folder:
        # PostgreSQL runs as a user of its own where we are root.
        os.chmod(folder, 0o711)
        try:
            prove(program(), Path(folder), arguments)
        except Failure as failure:
            sys.exit(f"✗ {failure}")
    print(f"All is well, in {time.monotonic() - began:.0f} s.")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw each dashboard to a PNG in this folder")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the dashboard of the cluster to this SVG")
    return parser.parse_args()


def program() -> Path:
    if named := os.environ.get("B3SCALED"):
        return Path(named)
    subprocess.run(["cargo", "build", "--quiet", "--bin", "b3scaled"], cwd=ROOT, check=True)
    return TARGET / "debug/b3scaled"


def prove(b3scaled: Path, folder: Path, arguments: argparse.Namespace) -> None:
    catalog = shipped.read_catalog(ROOT / "src/base/telemetry/catalog.rs")
    dashboards = shipped.read_dashboards(ROOT / "deploy/grafana")
    check_files(folder)
    with Demo(b3scaled, folder) as demo, Prometheus(folder, demo.servers, ROOT / "deploy/prometheus/rules.yml") as prometheus:
        say(f"the demo serves at {', '.join(demo.servers)}, and Prometheus scrapes it at {prometheus.address}")
        rules = prometheus.rules()
        asked = check_words(catalog, dashboards, rules)
        for query in asked:
            prometheus.instant(query.expression)
        say(f"Prometheus understands the {len(asked)} queries of {RUNBOOK.name}")
        demo.play()
        say(f"the lesson: {demo.verdict}")
        api = Api(demo.servers[0], demo.token)
        frontends = {one["bbb"]["key"]: one for one in api.get("/frontends")}
        secrets = {key: frontends[key]["bbb"]["secret"] for key in ("school", "ministry")}
        api.patch(f"/frontends/{frontends['school']['id']}", {"settings": {"attendees_limit": {"limit": LIMIT}}})
        with Traffic(secrets, demo.servers) as traffic, Node(b3scaled) as node:
            work(api, demo, secrets["school"])
            kill(node, api, prometheus)
            check_alert(prometheus, "B3scaleNoPlace", {})
            check_queries(prometheus, dashboards, rules)
            say(f"meanwhile: {traffic.calls} calls of users")
            chosen = {"backend": demo.nodes[0], "frontend": "school"}
            data = [prometheus.fill(dashboard, chosen) for dashboard in dashboards] if arguments.plots or arguments.svg else []
        check_pages(demo)
        check_exposed(prometheus, catalog)
        hidden = [demo.token, node.secret, LONELY, *secrets.values(), *(one["bbb"]["secret"] for one in api.get("/backends"))]
        check_secrecy(demo, prometheus, [*hidden, *PEOPLE, *SIGNS])
    if data:
        draw(data, folder, arguments)


def check_files(folder: Path) -> None:
    """What promtool says of what is shipped, laid out as on a machine that runs it."""
    place = folder / "etc"
    shutil.copytree(ROOT / "deploy/prometheus", place)
    (place / "b3scale-metrics-token").write_text("a token")
    for what, file in (("rules", "rules.yml"), ("config", "prometheus.yml")):
        promtool("check", what, place / file)
        say(f"promtool has nothing against {file}")
    promtool("test", "rules", TESTS)
    say(f"the rules say what {TESTS.name} wants of them")


def promtool(*arguments: object, text: str = "") -> str:
    done = subprocess.run(["promtool", *map(str, arguments)], input=text, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Failure(f"promtool {arguments[0]} {arguments[1]}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def check_words(catalog: shipped.Catalog, dashboards: list[shipped.Dashboard], rules: list[shipped.Rule]) -> list[shipped.Query]:
    """What can be said of the files without data. Returns what the runbook asks."""
    queries = [query for dashboard in dashboards for query in dashboard.queries()]
    for query in [*queries, *(rule.query for rule in rules)]:
        shipped.check_query(query, catalog, rules)
    shown = {name for query in queries for name in shipped.metrics_of(query.expression, catalog)}
    unseen = sorted(set(catalog) - shown)
    say(f"{len(queries)} queries of panels and {len(rules)} rules use metrics and labels that there are; "
        f"{'on no dashboard: ' + ', '.join(unseen) if unseen else 'every metric is on a dashboard'}")
    for dashboard in dashboards:
        shipped.check_dashboard(dashboard, {other.uid for other in dashboards})
        say(f"{dashboard.name}: {len(dashboard.panels)} panels, each with a description, laid out without overlaps")
    alerts = [rule for rule in rules if rule.is_alert]
    if untested := [alert.name for alert in alerts if f'"{alert.name}"' not in TESTS.read_text()]:
        raise Failure(f"no test of {TESTS.name} makes {', '.join(untested)} fire")
    shipped.check_runbook(alerts, RUNBOOK)
    say(f"{len(alerts)} alerts compare one query with one number, fire when they should, and have a section each in {RUNBOOK.name}")
    asked = shipped.read_queries(RUNBOOK)
    for query in asked:
        shipped.check_query(query, catalog, rules)
    return asked


def work(api: Api, demo: Demo, secret: str) -> None:
    """What is not there all day: a command, a frontend with a wrong secret, and one that no node is for."""
    api.post("/commands", {"action": "end_all_meetings", "params": {"BackendID": api.get("/backends")[-1]["id"]}})
    forged = call(f"{demo.servers[0]}/bbb/school/bigbluebutton/api/", secret[::-1], "getMeetings")
    if "checksumError" not in forged:
        raise Failure(f"a call with a wrong secret was answered: {forged}")
    api.post("/frontends", {"bbb": {"key": "nowhere", "secret": LONELY}, "settings": {"required_tags": ["nowhere"]}})
    nowhere = f"{demo.servers[0]}/bbb/nowhere/bigbluebutton/api/"

    def finds_no_place() -> bool:
        answer = call(nowhere, LONELY, "create", meetingID="in vain", name="In vain")
        return "There is no server that can take this meeting." in answer

    wait("a create that finds no place", 10, finds_no_place)
    say("a command was given, a call had a wrong secret, and a create has found no place")


def kill(node: Node, api: Api, prometheus: Prometheus) -> None:
    """A node with meetings dies, and its alert is raised."""
    api.post("/backends", {"bbb": {"host": node.url, "secret": node.secret}, "settings": {"tags": ["lessons"]}, "admin_state": "ready"})
    up = f'min(b3scale_backend_up{{backend="{node.host}"}}) == 1'
    wait(f"{node.host} to be up at every server", 30, lambda: prometheus.instant(up))
    busy = f'max(b3scale_backend_meetings{{backend="{node.host}"}}) >= 2 and sum(max by (frontend) (b3scale_frontend_attendees)) >= {CROWD}'
    wait(f"meetings on {node.host} and {CROWD} people in all", 60, lambda: prometheus.instant(busy))
    node.kill()
    began = time.monotonic()
    check_alert(prometheus, "B3scaleBackendDown", {"backend": node.host})
    say(f"… {time.monotonic() - began:.0f} s after the node was killed, of which its rule waits 30")


def check_alert(prometheus: Prometheus, name: str, labels: dict[str, str]) -> None:
    wanted = {"alertname": name, **labels}

    def fires() -> bool:
        return any(alert["state"] == "firing" and wanted.items() <= alert["labels"].items() for alert in prometheus.alerts())

    wait(f"{name} to fire", 90, fires)
    say(f"{name} fires{''.join(f', {label}={value}' for label, value in labels.items())}")


def check_queries(prometheus: Prometheus, dashboards: list[shipped.Dashboard], rules: list[shipped.Rule]) -> None:
    for rule in rules:
        if not prometheus.recent(shipped.with_variables(rule.query.expression)):
            raise Failure(f"{rule.name} has no data: {rule.query.expression}")
    say(f"the queries of all {len(rules)} rules return data")
    empty = []
    for dashboard in dashboards:
        for query in dashboard.queries():
            expression = shipped.with_variables(query.expression)
            series = prometheus.latest(expression) if query.instant else prometheus.recent(expression)
            bare = [label for label in query.legend_labels() if not any(one["metric"].get(label) for one in series)]
            if not series or bare:
                empty.append(f"{query.place}: {f'no label {bare}' if series else 'no data'}: {expression}")
        say(f"{dashboard.name}: all {len(dashboard.queries())} queries return data" if not empty else f"{dashboard.name}: see below")
    if empty:
        raise Failure("\n  ".join(["these queries are not as they should be:", *empty]))


def check_pages(demo: Demo) -> None:
    for server in demo.servers:
        page = demo.page(server)
        if said := promtool("check", "metrics", text=page):
            raise Failure(f"promtool on the page of {server}:\n{said}")
        say(f"promtool has nothing against the {len(page.splitlines())} lines of {server}/metrics")


def check_exposed(prometheus: Prometheus, catalog: shipped.Catalog) -> None:
    """The catalog has every metric that is shown, and every one that it has was shown. Its own test holds it to docs/metrics.md."""
    shown = prometheus.metrics()
    if differing := sorted(shown ^ set(catalog)):
        raise Failure(f"shown and not in the catalog, or the other way round: {', '.join(differing)}")
    say(f"the {len(catalog)} metrics of the catalog, and no others, were shown")


def check_secrecy(demo: Demo, prometheus: Prometheus, secrets: list[str]) -> None:
    texts = {**{f"{server}/metrics": demo.page(server) for server in demo.servers}, **demo.logs(), "Prometheus": prometheus.everything()}
    for place, text in texts.items():
        # Which one it is, is not for this output either.
        if found := [number for number, secret in enumerate(secrets) if secret in text]:
            raise Failure(f"{place} holds what nobody may read there: number {found} of what was looked for")
    lines = sum(len(text.splitlines()) for text in texts.values())
    say(f"none of {len(secrets)} secrets, tokens and names is in {lines} lines of pages, logs and labels")


def draw(data: list[dict[str, object]], folder: Path, to: argparse.Namespace) -> None:
    install()
    file = folder / "plots.json"
    file.write_text(json.dumps(data))
    command: list[object] = [PLACE / "bin/python", Path(__file__).with_name("plots.py"), file]
    command += ["--plots", to.plots] if to.plots else []
    command += ["--svg", to.svg] if to.svg else []
    subprocess.run(list(map(str, command)), check=True, timeout=120)
    say(f"drawn: {', '.join(str(place) for place in (to.plots, to.svg) if place)}")


def install() -> None:
    done = PLACE / f"matplotlib-{MATPLOTLIB}"
    if done.exists():
        return
    print(f"observability: pip install matplotlib=={MATPLOTLIB}, into {PLACE}", file=sys.stderr, flush=True)
    venv.create(PLACE, clear=True, with_pip=True)
    pip = [str(PLACE / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", f"matplotlib=={MATPLOTLIB}"]
    subprocess.run(pip, check=True)
    done.touch()


main()
