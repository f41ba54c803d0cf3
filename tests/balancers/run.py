#!/usr/bin/env -S python3 -B
"""Stops servers under load behind HAProxy and nginx, configured as in deploy/ but for addresses: not one call may fail.

Each of two servers in turn is told to stop, and must say that it is not ready while it still answers, bring a call in flight
to its end when its port is closed, and end with 0; then it is started again and must be used again. Meanwhile frontends go on
calling, on connections that they keep and on fresh ones. B3SCALED names the program to test.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException, HTTPResponse
from itertools import count
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from cluster import API, DRAIN_DELAY, SECRET, Cluster, Failure, Port, Program, Server, require, until

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
# As they stand in the configurations.
ADDRESSES = {"one": "10.0.0.11:42353", "two": "10.0.0.12:42353"}
# Frontends of each kind, and the pause between two calls of a lesson. The others do not rest.
FRONTENDS = 4
PAUSE = 0.01
# Calls that a server must have answered before it counts as used.
ENOUGH = 40
KEPT: dict[str, str] = {}
FRESH = {"Connection": "close"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Call(NamedTuple):
    """A signed call."""

    name: str
    method: str
    target: str
    body: str | None = None

    @staticmethod
    def get(name: str, /, **params: str) -> Call:
        query = urlencode(params)
        checksum = hashlib.sha1(f"{name}{query}{SECRET}".encode()).hexdigest()
        return Call(name, "GET", f"{API}/{name}?{query}{'&' if query else ''}checksum={checksum}")

    @staticmethod
    def form(name: str, /, **params: str) -> Call:
        # All of it in the form: the checksum covers the query, and there is none.
        checksum = hashlib.sha1(f"{name}{SECRET}".encode()).hexdigest()
        return Call(f"{name} by POST", "POST", f"{API}/{name}", urlencode(params | {"checksum": checksum}))

    def with_form(self, **fields: str) -> Call:
        """The same, with fields in a form that its checksum does not cover."""
        return Call(f"{self.name} by POST", "POST", self.target, urlencode(fields))

    def send(self, connection: HTTPConnection, headers: Mapping[str, str]) -> tuple[HTTPResponse, bytes]:
        connection.request(self.method, self.target, self.body, {**headers, **(FORM if self.body else {})})
        answer = connection.getresponse()
        return answer, answer.read()


def lesson(name: str) -> Iterator[Call]:
    """What a frontend asks for two meetings."""
    people = {"meetingID": f"{name} a", "fullName": "Ada Lovelace", "role": "MODERATOR"}
    yield Call.get("create", meetingID=f"{name} a", name="Physics & more")
    yield Call.form("create", meetingID=f"{name} b", name="Two + two = four")
    yield Call.get("join", **people)
    yield Call.form("isMeetingRunning", meetingID=f"{name} b")
    yield Call.get("getMeetings")
    yield Call.get("getMeetingInfo", meetingID=f"{name} a")
    yield Call.get("end", meetingID=f"{name} a")
    yield Call.form("end", meetingID=f"{name} b")


def question(_: str) -> Iterator[Call]:
    """What is soon answered, and no balancer may send again once it was sent."""
    yield Call.form("getMeetings")


def wrong(call: Call, answer: HTTPResponse, body: bytes, nodes: list[str]) -> str | None:
    """What is wrong with an answer."""
    if call.name == "join":
        location = answer.headers.get("Location", "")
        sent = any(location.startswith(node.removesuffix("/bigbluebutton/api/")) for node in nodes)
        return None if answer.status == 302 and sent else f"{answer.status}, Location {location!r}, {body[:300]!r}"
    good = answer.status == 200 and b"<returncode>SUCCESS</returncode>" in body
    return None if good else f"{answer.status}, {body[:300]!r}"


class Load:
    """Frontends that call through a balancer until they are told to end."""

    def __init__(self, balancer: str, port: Port, nodes: list[str]) -> None:
        self.port, self.nodes = port, nodes
        self.over = threading.Event()
        self.answered: Counter[str] = Counter()
        self.failures: list[str] = []
        self.lock = threading.Lock()
        kinds = [(lesson, KEPT, PAUSE), (lesson, FRESH, PAUSE), (question, FRESH, 0)] * FRONTENDS
        work = [(f"{balancer} {number}", *kind) for number, kind in enumerate(kinds)]
        self.threads = [threading.Thread(target=self.frontend, args=each, daemon=True) for each in work]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(30)

    def frontend(self, name: str, asks: Callable[[str], Iterator[Call]], headers: Mapping[str, str], pause: float) -> None:
        connection = self.port.connect()
        for number in count():
            for call in asks(f"{name} {number}"):
                if self.over.wait(pause):
                    return connection.close()
                self.call(call, connection, headers)

    def call(self, call: Call, connection: HTTPConnection, headers: Mapping[str, str]) -> None:
        began = time.monotonic()
        try:
            problem = wrong(call, *call.send(connection, headers), self.nodes)
        except (OSError, HTTPException) as error:
            connection.close()
            problem = repr(error)
        with self.lock:
            self.answered[call.name] += 1
            if problem:
                at, kind = time.strftime("%H:%M:%S"), "fresh" if headers is FRESH else "kept"
                seconds = time.monotonic() - began
                self.failures.append(f"{at} {call.name} on a {kind} connection, after {seconds:.3f} s: {problem}")


class Balancer(Program):
    """HAProxy or nginx with the configuration of deploy/, but for addresses."""

    def __init__(self, name: str, folder: Path, servers: list[Server]) -> None:
        super().__init__(name, folder)
        self.folder = folder / f"{name}.d"
        self.folder.mkdir(mode=0o711)
        self.port = Port()
        self.servers = {ADDRESSES[server.name]: server.port.address for server in servers}

    def run(self) -> None:
        {"haproxy": self.run_haproxy, "nginx": self.run_nginx}[self.name]()
        until(f"{self.name} listens", lambda: not self.port.refuses())
        require(self.runs(), f"{self.name} has ended")

    def run_haproxy(self) -> None:
        changes = {"bind :80\n": f"bind {self.port.address}\n"} | self.servers
        if os.geteuid() != 0:
            changes |= {f"    {line}\n": "" for line in ("user haproxy", "group haproxy", "chroot /var/lib/haproxy")}
        self.start(["haproxy", "-db", "-f", str(self.shipped("haproxy.cfg", changes))])

    def run_nginx(self) -> None:
        changes = {"listen 80;": f"listen {self.port.address};", "/var/log/nginx/": f"{self.folder}/"} | self.servers
        shipped = self.shipped("nginx.conf", changes)
        # What Debian's own nginx.conf is for.
        places = "".join(f"{what}_temp_path {what};\n" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        main = self.folder / "main.conf"
        main.write_text(
            f"pid nginx.pid;\nworker_processes 2;\nerror_log stderr;\nevents {{}}\nhttp {{\n{places}include {shipped};\n}}\n"
        )
        self.start(["nginx", "-g", "daemon off;", "-c", str(main), "-p", f"{self.folder}/"])

    def shipped(self, name: str, changes: Mapping[str, str]) -> Path:
        """Writes a shipped configuration with these changes and no others."""
        text = (DEPLOY / name).read_text()
        for old, new in changes.items():
            require(old in text, f"deploy/{name} has no {old.strip()!r}")
            text = text.replace(old, new)
        path = self.folder / name
        path.write_text(text)
        return path

    def version(self) -> str:
        said = subprocess.run([self.name, "-v"], capture_output=True, check=True, text=True)
        found = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
        return found[0] if found else "?"


def passes(balancer: Balancer, nodes: list[str]) -> None:
    """What is as large as b3scaled takes it must get through, and metrics must not."""
    connection = balancer.port.connect()
    large = {
        "a request line of 64 KiB": Call.get("create", meetingID="large 1", name="Large", logoutURL="x" * 65_000),
        "a form of 2 MiB": Call.get("create", meetingID="large 2", name="Large").with_form(copyright="x" * 2_000_000),
    }
    # Else every list would be as large.
    ends = {f"the end of {meeting}": Call.get("end", meetingID=meeting) for meeting in ("large 1", "large 2")}
    for what, call in (large | ends).items():
        problem = wrong(call, *call.send(connection, KEPT), nodes)
        require(not problem, f"{what}: {problem}")
    connection.close()
    status = balancer.port.get("/metrics")[0].status
    require(status == 404, f"/metrics is answered with {status}")
    say(balancer, f"{balancer.version()} takes {' and '.join(large)}, and shows nobody /metrics")


def stop(balancer: Balancer, server: Server, nodes: list[str]) -> None:
    """Stops a server, and looks at the order in which it goes."""
    began = time.monotonic()
    server.stop()
    until(f"{server.name} is not ready", lambda: server.problems() == ["draining"], DRAIN_DELAY)
    connection = server.port.connect()
    call = Call.get("getMeetings")
    answer, body = call.send(connection, KEPT)
    problem = wrong(call, answer, body, nodes)
    require(not problem, f"{server.name} does not answer while it drains: {problem}")
    require(answer.headers.get("Connection") == "close", f"{server.name} drains, and keeps connections open")
    require(server.problems() == ["draining"], f"{server.name} is not draining any more")
    connection.close()

    last = Call.form("create", meetingID=f"last {balancer.name} {server.name}", name="Last")
    connection = begin(last, server)
    until(f"{server.name} takes no new connections", server.port.refuses, DRAIN_DELAY + 5)
    closed = time.monotonic() - began
    require(closed >= DRAIN_DELAY, f"{server.name} has taken no new connections after {closed:.1f} s")
    require(server.runs(), f"{server.name} has ended with a call in flight")
    connection.send((last.body or "").encode()[1:])
    answer = connection.getresponse()
    problem = wrong(last, answer, answer.read(), nodes)
    require(not problem, f"{server.name} did not bring its last call to its end: {problem}")
    connection.close()

    code = server.ended(30)
    require(code == 0, f"{server.name} has ended with {code}")
    say(balancer, f"{server.name} not ready, and answering; port closed after {closed:.1f} s; last call answered; ended with 0")


def begin(call: Call, server: Server) -> HTTPConnection:
    """Sends a call but for most of its body."""
    body = (call.body or "").encode()
    connection = server.port.connect()
    connection.putrequest(call.method, call.target)
    for name, value in {**FORM, "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body[:1])
    return connection


def used(balancer: Balancer, server: Server) -> None:
    before = server.calls()
    until(f"{balancer.name} uses {server.name}", lambda: server.calls() >= before + ENOUGH)


def hold(balancer: Balancer, cluster: Cluster) -> int:
    """Stops and starts each server under load. Returns the number of calls."""
    balancer.run()
    passes(balancer, cluster.node_urls)
    with Load(balancer.name, balancer.port, cluster.node_urls) as load:
        for server in cluster.servers:
            for each in cluster.servers:
                used(balancer, each)
            say(balancer, f"both servers are used, {server.name} is told to stop")
            stop(balancer, server, cluster.node_urls)
            server.run()
        for each in cluster.servers:
            used(balancer, each)
    require(not any(thread.is_alive() for thread in load.threads), "a call has not come to its end")
    total = load.answered.total()
    kinds = ", ".join(f"{name} {number}" for name, number in sorted(load.answered.items()))
    failures = "\n".join(load.failures[:20])
    require(not load.failures, f"{len(load.failures)} of {total} calls have failed, first of all:\n{failures}")
    say(balancer, f"both servers are used; {total} calls, none failed: {kinds}")
    return total


def say(balancer: Balancer | None, text: str) -> None:
    print(f"{balancer.name if balancer else 'cluster':<8} {text}", flush=True)


def main() -> None:
    b3scaled = os.environ.get("B3SCALED") or sys.exit("balancers: B3SCALED must name the program to test")
    # Debian keeps both balancers there, outside the PATH of users.
    os.environ["PATH"] += ":/usr/sbin"
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="b3scale-balancers-") as name, ExitStack() as ends:
        folder = Path(name)
        # PostgreSQL, and who works for a balancer, run as users of their own where we are root.
        folder.chmod(0o711)
        cluster = Cluster(os.path.abspath(b3scaled), folder)
        programs = cluster.programs()
        for program in programs:
            ends.callback(program.end)
        try:
            cluster.run()
            say(None, f"PostgreSQL, {len(cluster.nodes)} nodes and {len(cluster.servers)} servers run")
            total = 0
            for kind in ("haproxy", "nginx"):
                balancer = Balancer(kind, folder, cluster.servers)
                programs.append(balancer)
                ends.callback(balancer.end)
                total += hold(balancer, cluster)
                balancer.end()
        except (Failure, OSError, HTTPException) as failure:
            for program in programs:
                print(f"{program.name}, the end of its log:\n{program.tail()}", file=sys.stderr)
            sys.exit(f"balancers: {failure or type(failure).__name__}")
    say(None, f"{total} calls in {time.monotonic() - began:.0f} s, none failed")


main()
