"""A cluster on the loopback, each part a child process: PostgreSQL, two BBB nodes, two servers."""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

NODES = 2
SERVERS = ("one", "two")
DRAIN_DELAY = 3
FRONTEND = "school"
SECRET = "of the school"
API = f"/bbb/{FRONTEND}/bigbluebutton/api"

T = TypeVar("T")


class Failure(Exception):
    """What did not come out as it should."""


def until(what: str, holds: Callable[[], T | None], seconds: float = 30) -> T:
    """Waits until something holds, and returns it."""
    deadline = time.monotonic() + seconds
    while not (held := holds()):
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.02)
    return held


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Failure(otherwise)


class Port:
    """A port of the loopback that nobody else is given, whether or not its owner listens: bound, and never listened on."""

    def __init__(self) -> None:
        self.kept = socket.socket()
        self.kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.kept.bind(("127.0.0.1", 0))
        self.number: int = self.kept.getsockname()[1]
        self.address = f"127.0.0.1:{self.number}"

    def connect(self, timeout: float = 30) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.number, timeout=timeout)

    def refuses(self) -> bool:
        with socket.socket() as stream:
            return stream.connect_ex(("127.0.0.1", self.number)) != 0

    def get(self, path: str) -> tuple[HTTPResponse, bytes]:
        """Asks on a connection of its own."""
        connection = self.connect()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()


class Program:
    """A child process that writes to a log. It may be started again."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, command: list[str], **options: Any) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)

    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process:
            self.process.send_signal(how)

    def ended(self, seconds: float) -> int:
        assert self.process
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} has not ended within {seconds} s") from None

    def end(self) -> None:
        """Ends it, at once if it takes long."""
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def says(self, pattern: str) -> str:
        """Waits for a line in its log, and returns the group of the pattern."""

        def said() -> re.Match[str] | None:
            found = re.search(pattern, self.log.read_text(errors="replace"))
            require(bool(found) or self.runs(), f"{self.name} has ended")
            return found

        return until(f"{self.name} says {pattern!r}", said)[1]

    def tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(f"  {line[:400]}" for line in lines[-15:])


class Postgres(Program):
    """PostgreSQL on a unix socket."""

    def __init__(self, folder: Path) -> None:
        super().__init__("postgres", folder)
        self.data = folder / "postgres"
        self.url = f"postgresql:///postgres?host={quote(str(self.data), safe='')}&user=b3scale"

    def run(self) -> None:
        programs = postgres_programs()
        options: dict[str, Any] = {}
        self.data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            # It refuses to run as root.
            shutil.chown(self.data, "postgres", "postgres")
            options = {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": "/"}
        initdb = [f"{programs}/initdb", "-D", str(self.data), "-U", "b3scale", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **options)
        command = [f"{programs}/postgres", "-D", str(self.data), "-k", str(self.data), "-c", "listen_addresses="]
        self.start(command, **options)
        self.says("(ready to accept connections)")

    def end(self) -> None:
        # SIGTERM would wait for open connections.
        self.stop(signal.SIGINT)
        super().end()


def postgres_programs() -> str:
    places = [os.environ.get("PG_BIN", ""), *os.environ["PATH"].split(":")]
    places += sorted(glob.glob("/usr/lib/postgresql/*/bin") + glob.glob("/usr/pgsql-*/bin"), reverse=True)
    for place in places:
        if os.access(f"{place}/initdb", os.X_OK) and os.access(f"{place}/postgres", os.X_OK):
            return place
    sys.exit("balancers: PostgreSQL is missing; `tests/install postgresql` installs it, or set PG_BIN to the folder of initdb")


class Server(Program):
    """A server, at the same port whenever it is started."""

    def __init__(self, name: str, folder: Path, b3scaled: str, environment: dict[str, str]) -> None:
        super().__init__(name, folder)
        self.port = Port()
        self.command = [b3scaled, "--listen", self.port.address]
        self.environment = environment

    def run(self) -> None:
        self.start(self.command, env=self.environment)
        until(f"{self.name} is ready", self.ready)

    def ready(self) -> bool:
        require(self.runs(), f"{self.name} has ended")
        return not self.port.refuses() and not self.problems()

    def problems(self) -> list[str]:
        """Why it is not ready, by its own word."""
        answer, body = self.port.get("/health/ready")
        report = json.loads(body)
        require((answer.status == 200) == report["ready"], f"{self.name}: {answer.status} at /health/ready with {report}")
        return [check["name"] for check in report["checks"] if "problem" in check]

    def knows(self, nodes: int) -> None:
        """Waits until it knows that so many nodes are up."""
        until(f"{self.name} knows the nodes", lambda: self.logged("Node up") == nodes)

    def logged(self, message: str) -> int:
        """How often it has logged this."""
        return self.log.read_bytes().count(f'"message":"{message}"'.encode())

    def calls(self) -> int:
        """BBB calls that it has answered, counted on when it is started again."""
        return self.logged("Call answered")


class Cluster:
    """All of it, known to each other."""

    def __init__(self, b3scaled: str, folder: Path) -> None:
        self.b3scaled = b3scaled
        self.postgres = Postgres(folder)
        self.nodes = [Program(f"node-{number}", folder) for number in range(1, NODES + 1)]
        self.node_urls: list[str] = []
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("B3SCALE_")} | {
            "B3SCALE_DB_URL": self.postgres.url,
            "B3SCALE_DRAIN_DELAY": str(DRAIN_DELAY),
            "B3SCALE_LOG_FORMAT": "structured",
        }
        self.servers = [Server(name, folder, b3scaled, self.environment) for name in SERVERS]

    def programs(self) -> list[Program]:
        """Those that need others behind those they need."""
        return [self.postgres, *self.nodes, *self.servers]

    def run(self) -> None:
        self.postgres.run()
        for node in self.nodes:
            node.start([self.b3scaled, "node", "--listen", "127.0.0.1:0", "--secret", "of the nodes"], env=self.environment)
        self.node_urls = [node.says(r"url +(\S+)") for node in self.nodes]
        for server in self.servers:
            server.run()
        self.introduce()

    def introduce(self) -> None:
        command = [self.b3scaled, "token"]
        token = subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
        for url in self.node_urls:
            self.post("/backends", token, {"bbb": {"host": url, "secret": "of the nodes"}, "admin_state": "ready"})
        self.post("/frontends", token, {"bbb": {"key": FRONTEND, "secret": SECRET}, "active": True})
        for server in self.servers:
            server.knows(NODES)

    def post(self, path: str, token: str, body: object) -> None:
        connection = self.servers[0].port.connect()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", f"/api/v1{path}", json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        require(answer.status < 300, f"POST {path}: {answer.status} {text}")
