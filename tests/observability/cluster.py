"""A cluster to look at: the demo, a node of its own, and how both are spoken to."""

import hashlib
import http.cookiejar
import json
import os
import re
import signal
import subprocess
import threading
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

from waiting import Failure, wait


class Program:
    """A process of ours, whose lines are collected. It ends with this, by its id."""

    def __init__(self, *command: object, **settings: str) -> None:
        self.command = list(map(str, command))
        # Nothing of the caller's own settings reaches it.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("B3SCALE_")} | settings
        self.lines: list[str] = []

    def __enter__(self) -> Self:
        pipe, out = subprocess.PIPE, subprocess.STDOUT
        self.process = subprocess.Popen(self.command, env=self.environment, stdout=pipe, stderr=out, text=True)
        threading.Thread(target=self._collect, daemon=True).start()
        try:
            self.await_start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _collect(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line.rstrip("\n"))

    def await_start(self) -> None:
        """Waits until it is there, and notes what it says of itself."""

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def find(self, pattern: str) -> list[str]:
        """What the pattern's group is in each line that it is found in."""
        if self.process.poll() is not None:
            raise Failure("a program has ended:\n" + "\n".join(self.lines[-20:]))
        return [found[1] for line in list(self.lines) if (found := re.search(pattern, line))]


class Demo(Program):
    """A cluster of three servers that plays a lesson, and goes on serving."""

    def __init__(self, b3scaled: Path, folder: Path) -> None:
        self.folder = folder / "demo"
        super().__init__(b3scaled, "demo", "--listen", "127.0.0.1:0", "--data-dir", self.folder)
        self.servers: list[str] = []
        self.nodes: list[str] = []
        self.verdict = self.token = ""

    def await_start(self) -> None:
        # The table of the nodes is the last one before the lesson.
        wait("the demo's servers", 90, lambda: self.find(r"^  node-4 +\S+ +http://([^/]+)/"))
        self.servers = self.find(r"^  server-\d +(http://\S+)")
        self.nodes = self.find(r"^  node-\d +\S+ +http://([^/]+)/")

    def play(self) -> None:
        """Waits for the lesson to be over."""
        wait("the end of the lesson", 150, lambda: self.find(r"^The logs of the servers (are) in"))
        self.verdict = self.find(r"^(\w+ .*steps .*)")[0]
        if not self.verdict.startswith("All "):
            raise Failure("the lesson went wrong:\n" + "\n".join(self.lines))
        self.token = self.find(r"B3SCALE_API_ACCESS_TOKEN=(\S+)")[0]

    def logs(self) -> dict[str, str]:
        return {log.name: log.read_text() for log in sorted(self.folder.glob("server-*.log"))}

    def page(self, server: str) -> str:
        return fetch(urllib.request.Request(f"{server}/metrics"))


class Node(Program):
    """A simulated BBB node that can be killed."""

    def __init__(self, b3scaled: Path) -> None:
        super().__init__(b3scaled, "node", "--listen", "127.0.0.1:0")
        self.url = self.secret = self.host = ""

    def await_start(self) -> None:
        self.url = wait("the node", 30, lambda: self.find(r"^url +(http://\S+)"))[0]
        self.secret = wait("the node's secret", 30, lambda: self.find(r"^secret +(\S+)"))[0]
        self.host = urllib.parse.urlsplit(self.url).netloc


class Api:
    """The REST API, for an operator."""

    def __init__(self, server: str, token: str) -> None:
        self.base, self.token = f"{server}/api/v1", token

    def get(self, path: str) -> Any:
        return self._ask("GET", path)

    def post(self, path: str, body: object) -> Any:
        return self._ask("POST", path, body)

    def patch(self, path: str, body: object) -> Any:
        return self._ask("PATCH", path, body)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        return json.loads(fetch(urllib.request.Request(self.base + path, content, headers, method=method)))


def call(base: str, secret: str, name: str, /, **params: str) -> str:
    """A BBB call, signed as frontends do it. Redirects are followed, as a browser would."""
    query = urllib.parse.urlencode(params)
    checksum = hashlib.sha256(f"{name}{query}{secret}".encode()).hexdigest()
    return fetch(urllib.request.Request(f"{base}{name}?{query}&checksum={checksum}"))


def fetch(request: urllib.request.Request) -> str:
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    try:
        with urllib.request.build_opener(cookies).open(request, timeout=30) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        # The address may hold a checksum.
        path = urllib.parse.urlsplit(request.full_url).path
        raise Failure(f"{request.get_method()} {path}: {error.code}: {error.read().decode(errors='replace')}") from None
