#!/usr/bin/env python3
"""Holds a server to its own OpenAPI document: that is valid (openapi-spec-validator), and no answer is a 500 or not as it says
(schemathesis).

Both are installed below target/schemathesis, unless they are there. B3SCALED names the program to test; without it, it is built.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PLACE = TARGET / "schemathesis"
PACKAGES = ["schemathesis==4.32.5", "openapi-spec-validator==0.9.0"]

# The original knows no 405, ignores unknown fields, and has rules that no schema expresses. After twenty bad tokens in a minute an
# address is answered 429, so tests/api/rest/access.rs tries each route without a token and with a wrong one.
NOT_FOR_US = "ignored_auth,unsupported_method,negative_data_rejection,positive_data_acceptance"


def say(text):
    print(f"openapi: {text}", file=sys.stderr, flush=True)


def install():
    done, wanted = PLACE / "packages", " ".join(PACKAGES)
    if done.exists() and done.read_text() == wanted:
        return
    say(f"pip install {wanted}, into {PLACE}")
    venv.create(PLACE, clear=True, with_pip=True)
    subprocess.run([PLACE / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES], check=True)
    done.write_text(wanted)


def program():
    if named := os.environ.get("B3SCALED"):
        return named
    subprocess.run(["cargo", "build", "--quiet", "--bin", "b3scaled"], cwd=ROOT, check=True)
    return TARGET / "debug/b3scaled"


class Server:
    """A server with a database of its own, which ends with this."""

    def __init__(self, b3scaled, folder):
        self.b3scaled = b3scaled
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("B3SCALE_")} | {
            "B3SCALE_DATA_DIR": f"{folder}/data",
            "B3SCALE_DRAIN_DELAY": "0",
            "B3SCALE_LOG_FORMAT": "structured",
            "B3SCALE_RECORDINGS_PUBLISHED_PATH": f"{folder}/published",
            "B3SCALE_RECORDINGS_UNPUBLISHED_PATH": f"{folder}/unpublished",
        }
        for tree in ("published", "unpublished"):
            Path(folder, tree).mkdir()

    def __enter__(self):
        command = [self.b3scaled, "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, text=True)
        self.api = self.listens()
        # A server must never wait for a reader of its log.
        threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True).start()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def listens(self):
        said = []
        for line in self.process.stderr:
            said.append(line)
            if address := json.loads(line).get("listen") if line.startswith("{") else None:
                return f"http://{address}"
        sys.exit("the server did not start:\n" + "".join(said))

    def token(self, sub, scopes):
        command = [self.b3scaled, "token", "--sub", sub, "--scopes", scopes]
        return subprocess.run(command, env=self.environment, capture_output=True, check=True, text=True).stdout.strip()

    def post(self, path, token, body):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.api}/api/v1{path}", json.dumps(body).encode(), headers)
        urllib.request.urlopen(request, timeout=30).close()


def is_valid(server, folder):
    document = Path(folder, "openapi.json")
    with urllib.request.urlopen(f"{server.api}/api/v1/openapi.json", timeout=30) as answer:
        document.write_bytes(answer.read())
    return subprocess.run([PLACE / "bin/openapi-spec-validator", document]).returncode == 0


def hold(server, name, token, *options):
    say(f"as {name}")
    command = [PLACE / "bin/schemathesis", "run", f"{server.api}/api/v1/openapi.json"]
    command += ["--header", f"Authorization: Bearer {token}", "--exclude-checks", NOT_FOR_US]
    command += ["--generation-deterministic", "--warnings", "off", "--no-color", *options]
    # It writes its findings into the working directory.
    done = subprocess.run(command, cwd=server.environment["B3SCALE_DATA_DIR"], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    print("\n".join(lines if done.returncode else lines[-8:]), done.stderr, flush=True)
    return done.returncode == 0


def main():
    install()
    with tempfile.TemporaryDirectory() as folder:
        # PostgreSQL runs as a user of its own where we are root.
        os.chmod(folder, 0o711)
        with Server(program(), folder) as server:
            agent = server.token("node-1", "b3scale:node")
            server.post("/backends", agent, {"bbb": {"host": "http://127.0.0.1:9/", "secret": "x"}})
            operator = server.token("operator", "b3scale:admin")
            good = is_valid(server, folder)
            good &= hold(server, "operator", operator, "--max-examples", "50", "--exclude-tag", "agents")
            # An event of a meeting that is not there is waited for, as the original does it.
            good &= hold(server, "agent", agent, "--max-examples", "3", "--include-tag", "agents", "--request-timeout", "30")
    sys.exit(0 if good else 1)


main()
