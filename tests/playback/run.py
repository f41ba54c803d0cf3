#!/usr/bin/env -S python3 -B
"""Plays recordings as browsers do: through b3scaled, through nginx with deploy/nginx-recordings.conf, and in headless Chromium.

B3SCALED names the program to test. Pictures of our pages are kept below target/playback.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "balancers"))

from cluster import Failure, Port, Postgres, Program, Server, require, until  # noqa: E402

import recordings  # noqa: E402
from recordings import LINKS, LOCKED, OPEN, THUMBNAIL, Tenant, Tickets  # noqa: E402

SECRET = "of the cluster"
PLAYWRIGHT = "1.56.1"
# A file of each format, at each of its paths.
FILES = {
    "/presentation/ID/shapes.svg": "presentation",
    "/presentation/ID/video/webcams.webm": "presentation",
    "/presentation/ID/presentation/d2d9-1/slide-1.png": "presentation",
    "/playback/presentation/ID/caption_en.vtt": "presentation",
    "/presentation/ID/metadata.xml": "presentation",
    "/video/ID/video-0.m4v": "video",
    "/playback/video/ID/video-0.webm": "video",
    "/podcast/ID/audio.ogg": "podcast",
    "/playback/podcast/ID/audio.ogg": "podcast",
    "/notes/ID/notes.pdf": "notes",
    "/notes/ID/notes.html": "notes",
    "/recording/screenshare/ID/screenshare-0.webm": "screenshare",
    "/playback/statistics/ID/data.json": "statistics",
}
# Defect 2: other spellings of a protected path.
SPELLINGS = (
    "/presentation//ID/shapes.svg",
    "//presentation/ID/shapes.svg",
    "/presentation/./ID/shapes.svg",
    "/presentation/OPEN/../ID/shapes.svg",
    "/presentation/OPEN/%2e%2e/ID/shapes.svg",
    "/presentation/OPEN/..%2fID/shapes.svg",
    "/presentation/OPEN/x/../../ID/shapes.svg",
    "/presentation/ID%2fshapes.svg",
    "/%70resentation/%61ID/shapes.svg",
    "/Presentation/ID/shapes.svg",
    "/presentation/ID./shapes.svg",
    "/presentation/ID/shapes.svg%00",
    "/presentation/ID/shapes.svg?x=/presentation/OPEN/shapes.svg",
    "/presentation/ID/shapes.svg#/presentation/OPEN/",
    "/playback/presentation/2.3/../ID/shapes.svg",
    "/recording/presentation/ID/shapes.svg",
    "/playback/OPEN/../presentation/ID/shapes.svg",
)


class Nginx(Program):
    """nginx with the shipped configuration, but for addresses and folders."""

    def __init__(self, folder: Path, port: Port, server: Server, published: Path) -> None:
        super().__init__("nginx", folder)
        self.folder = folder / "nginx.d"
        self.folder.mkdir(mode=0o711)
        self.port = port
        self.changes = {
            "listen 80;": f"listen {self.port.address};",
            "/var/log/nginx/": f"{self.folder}/",
            "10.0.0.11:42353": server.port.address,
            "    server 10.0.0.12:42353 max_fails=1 fail_timeout=2s;\n": "",
            "/mnt/recordings/published/": f"{published}/",
        }

    def run(self) -> None:
        text = (ROOT / "deploy" / "nginx-recordings.conf").read_text()
        for old, new in self.changes.items():
            require(old in text, f"deploy/nginx-recordings.conf has no {old.strip()!r}")
            text = text.replace(old, new)
        shipped = self.folder / "recordings.conf"
        shipped.write_text(text)
        places = "".join(f"{what}_temp_path {what};\n" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        main = self.folder / "main.conf"
        main.write_text(f"pid nginx.pid;\nworker_processes 1;\nerror_log stderr;\nevents {{}}\nhttp {{\n{places}include {shipped};\n}}\n")
        self.start(["nginx", "-g", "daemon off;", "-c", str(main), "-p", f"{self.folder}/"])
        until("nginx listens", lambda: not self.port.refuses())


def ask(port: Port, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    """Asks for exactly that path, on a connection of its own."""
    connection = port.connect()
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def status(port: Port, path: str, **headers: str) -> int:
    return ask(port, path, **headers)[0].status


def at(path: str, record: str, ticket: str | None = None) -> str:
    return path.replace("ID", f"{ticket}/{record}" if ticket else record)


def forged(ticket: str) -> str:
    """The same but for its last letter."""
    return ticket[:-1] + ("E" if ticket.endswith("A") else "A")


def lists(port: Port, tenant: Tenant) -> None:
    """The links of lists lead into both recordings, and the thumbnails are shown."""
    for record in (OPEN, LOCKED):
        links = tenant.links(record)
        require(sorted(links) == sorted(LINKS), f"{record} has the formats {sorted(links)}")
        for form, link in {**links, "thumbnail": tenant.thumbnail(record)}.items():
            base, _, path = link.partition(port.address)
            require(base == "http://", f"the link of {form} is that of the playback host: {base}")
            allowed = (302,) if record == LOCKED and form in LINKS else (200, 301, 302)
            answer = status(port, path)
            require(answer in allowed, f"the link of {form} of {record} is answered with {answer}")
    say("list", f"{len(LINKS)} formats of an uploaded and of a posted recording, by links that open")


def files(name: str, port: Port, frontend: str, tickets: Tickets) -> None:
    """Every file of every format: an open recording, a protected one with its tickets and without."""
    for path, form in FILES.items():
        own = tickets.play(frontend, LOCKED, form)
        opened, content = ask(port, at(path, OPEN))
        admitted, protected = ask(port, at(path, LOCKED, own))
        for answer, keeps in ((opened, "no-cache"), (admitted, "no-store" if "metadata" in path else "private, no-cache")):
            require(answer.status == 200, f"{name} answers {path} with {answer.status}")
            require(answer.headers["Cache-Control"] == keeps, f"{name} lets {path} be kept: {answer.headers['Cache-Control']}")
            require(answer.headers["Access-Control-Allow-Origin"] == "*", f"{name}: no other host may read {path}")
            require(answer.headers["X-Content-Type-Options"] == "nosniff", f"{name}: {path} may be taken for another type")
            is_document = path.endswith((".svg", ".html", ".xml"))
            policy = answer.headers["Content-Security-Policy"] or ""
            require(("sandbox" in policy) == is_document, f"{name}: {path} may do {policy!r}")
        require(content == protected or "metadata" in path, f"{name} changes {path}")
        foreign = tickets.play(frontend, OPEN, form), tickets.play(frontend, LOCKED, "other"), tickets.link(frontend, LOCKED, form)
        for ticket in (None, *foreign, forged(own)):
            for method in ("GET", "HEAD"):
                answer, _ = ask(port, at(path, LOCKED, ticket), method)
                require(answer.status == 403, f"{name} answers {method} {path} with {answer.status}, for a ticket that opens nothing")
                require("Location" not in answer.headers, f"{name} leads {path} elsewhere")
    ticket = tickets.thumbnail(frontend, LOCKED)
    require(status(port, at(THUMBNAIL, LOCKED, ticket)) == 200, f"{name} shows no thumbnail")
    require(status(port, at(THUMBNAIL, LOCKED)) == 403, f"{name} shows a thumbnail without its ticket")
    require(status(port, at("/presentation/ID/shapes.svg", LOCKED, ticket)) == 403, f"{name} takes a ticket of a thumbnail for slides")
    say(name, f"{len(FILES)} paths are open with the right ticket, and closed with each other one")


def parts(name: str, port: Port) -> None:
    path = at("/presentation/ID/video/webcams.webm", OPEN)
    whole = (HERE / "media" / "webcams.webm").read_bytes()
    head, _ = ask(port, path, "HEAD")
    require(head.headers["Content-Length"] == str(len(whole)), f"{name}: HEAD has no length")
    for wanted, code, content in (("0-1", 206, whole[:2]), ("100-", 206, whole[100:]), ("-500", 206, whole[-500:])):
        answer, body = ask(port, path, Range=f"bytes={wanted}")
        require((answer.status, body) == (code, content), f"{name} answers bytes={wanted} with {answer.status}")
    require(status(port, path, Range=f"bytes={len(whole)}-") == 416, f"{name} has bytes beyond the end")
    again = ask(port, path, If_None_Match=head.headers["ETag"])[0].status
    require(again == 304, f"{name} sends a known file again: {again}")
    changed, body = ask(port, path, Range="bytes=0-1", If_Range='"other"')
    require((changed.status, body) == (200, whole), f"{name} mixes two contents")
    packed = ask(port, at("/presentation/ID/shapes.svg", OPEN), Accept_Encoding="gzip")[0]
    require(packed.headers["Content-Encoding"] == "gzip", f"{name} does not compress slides")
    for missing in ("video/webcams.mp4", "panzooms.xml", "audio/audio.webm"):
        answer, body = ask(port, at(f"/presentation/ID/{missing}", OPEN))
        require(answer.status == 404 and len(body) < 100, f"{name} answers {missing} with {answer.status}")
    say(name, "parts, conditions, compression and missing files are right")


def spellings(name: str, port: Port) -> None:
    for spelling in SPELLINGS:
        path = spelling.replace("%61ID", f"%61{LOCKED[1:]}").replace("ID", LOCKED).replace("OPEN", OPEN)
        answer, body = ask(port, path)
        require(answer.status in (400, 403, 404), f"{name} answers {path} with {answer.status}")
        require(b"<svg" not in body, f"{name} serves {path}")
    say(name, f"{len(SPELLINGS)} other spellings of a protected path open nothing")


def cookies(name: str, port: Port, frontend: str, tickets: Tickets) -> None:
    """The original's way: a link, a cookie, and a question for each file."""
    link = f"/api/v1/protected/recordings/video~{LOCKED}~{tickets.link(frontend, LOCKED, 'video')}"
    answer, _ = ask(port, link)
    cookie, _, attributes = (answer.headers["Set-Cookie"] or "").partition("; ")
    require(answer.status == 302 and "HttpOnly" in attributes, f"{name}: {link} gives {answer.status} {attributes}")
    for path in FILES:
        answer = status(port, at(path, LOCKED), Cookie=f"a=b; {cookie}")
        require(answer == 200 or "metadata" in path, f"{name} answers {path} with {answer}, for its cookie")
        for wrong in (forged(cookie), cookie.replace(LOCKED, OPEN), f"_b3s_{LOCKED}={tickets.link(frontend, LOCKED, 'video')}"):
            require(status(port, at(path, LOCKED), Cookie=wrong) == 403, f"{name} takes a wrong cookie at {path}")
    say(name, "a cookie opens its recording and no other")


def changes(name: str, port: Port, tenant: Tenant, tickets: Tickets) -> None:
    """A change ends running tickets at once."""
    path = "/presentation/ID/video/webcams.webm"
    before = at(path, LOCKED, tickets.play(tenant.id, LOCKED, "presentation"))
    require(status(port, before) == 200, f"{name} does not play before a change")
    tenant.call("publishRecordings", recordID=LOCKED, publish="false")
    until(f"{name} plays no unpublished recording", lambda: status(port, before) in (403, 404), 2)
    tenant.call("publishRecordings", recordID=LOCKED, publish="true")
    tickets.epoch += 1
    after = at(path, LOCKED, tickets.play(tenant.id, LOCKED, "presentation"))
    until(f"{name} plays it again", lambda: status(port, after) == 200, 2)
    require(status(port, before) == 403, f"{name} takes the earlier ticket again")
    say(name, "a recording that was unpublished has ended its tickets")


class Elsewhere:
    """A site of somebody else: it shows a recording in a frame, and a player that reads from our host."""

    def __init__(self, frame: str, media: str) -> None:
        player = (HERE / "player" / "index.html").read_text().replace("window.began = true", f"window.mediaRoot = {media!r}")
        script = (HERE / "player" / "static" / "js" / "main.1a2b3c.js").read_bytes()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body, kind = player.encode(), "text/html"
                if self.path.endswith(".js"):
                    body, kind = script, "text/javascript"
                elif self.path.startswith("/frame"):
                    body = f"<!doctype html><title>LMS</title><iframe allow=autoplay width=800 height=600 src='{frame}'></iframe>".encode()
                elif self.path == "/favicon.ico":
                    return self.send_error(404)
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self) -> None:
        self.server.shutdown()


def browser(front: Port, player: Port, tenant: Tenant, folder: Path) -> None:
    """Plays in Chromium."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "playback"
    node, pictures = target / f"playwright-{PLAYWRIGHT}", target / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    if not (node / "node_modules" / "playwright-core").is_dir():
        say("npm", f"install playwright-core@{PLAYWRIGHT}, into {node}")
        node.mkdir(parents=True, exist_ok=True)
        (node / "package.json").write_text("{}")
        command = ["npm", "install", "--prefix", str(node), "--silent", "--no-audit", "--no-fund", f"playwright-core@{PLAYWRIGHT}"]
        subprocess.run(command, check=True)
    opened, locked = tenant.links(OPEN), tenant.links(LOCKED)
    page = f"/playback/presentation/2.3/{OPEN}"
    elsewhere = Elsewhere(f"http://{front.address}{page}", f"http://{front.address}/presentation")
    base, played = f"http://{front.address}", f"http://{player.address}"
    plan = {
        "chromium": shutil.which("chromium") or sys.exit("playback: Chromium is missing; `tests/install chromium` installs it"),
        "node": str(node),
        "pictures": str(pictures),
        "title": recordings.NAME,
        "hosts": [front.address, player.address, elsewhere.host],
        "pages": {
            **{form: opened[form] for form in ("presentation", "video", "screenshare", "statistics")},
            "podcast": f"{base}/playback/podcast/{OPEN}/",
            "notes": f"{base}/playback/notes/{OPEN}/",
            "protected": locked["video"],
        },
        "locked": f"{base}/playback/video/{LOCKED}/",
        "framing": f"http://{elsewhere.host}/frame",
        "documents": [f"{base}/presentation/{OPEN}/notes.html", f"{base}/notes/{OPEN}/notes.html"],
        "players": {
            "own": f"{played}{page}",
            "ticket": locked["presentation"].replace(base, played),
            "elsewhere": f"http://{elsewhere.host}/player/{OPEN}",
        },
        "records": {"own": OPEN, "ticket": LOCKED, "elsewhere": OPEN},
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    try:
        subprocess.run(["node", str(HERE / "browser.mjs"), str(folder / "plan.json")], check=True, timeout=240)
    except subprocess.SubprocessError as error:
        raise Failure(f"Chromium: {error}") from None
    finally:
        elsewhere.end()
    say("chromium", f"{len(plan['pages'])} pages in three looks and {len(plan['players'])} players play; pictures are in {pictures}")


def say(name: str, text: str) -> None:
    print(f"{name:<8} {text}", flush=True)


def main() -> None:
    b3scaled = os.path.abspath(os.environ.get("B3SCALED") or sys.exit("playback: B3SCALED must name the program to test"))
    os.environ["PATH"] += ":/usr/sbin"
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="b3scale-playback-") as name, ExitStack() as ends:
        folder = Path(name)
        folder.chmod(0o755)
        trees = {tree: folder / "recordings" / tree for tree in ("published", "unpublished")}
        for tree in trees.values():
            tree.mkdir(parents=True)
        published, node = trees["published"], folder / "node"
        # One recording is on a node, the other in the folder that nodes and servers share.
        recordings.write(node, OPEN)
        recordings.write(published, LOCKED)
        front = Port()
        postgres = Postgres(folder)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("B3SCALE_")} | {
            "B3SCALE_DB_URL": postgres.url,
            "B3SCALE_API_JWT_SECRET": SECRET,
            "B3SCALE_DRAIN_DELAY": "0",
            "B3SCALE_LOG_FORMAT": "structured",
            "B3SCALE_RECORDINGS_PUBLISHED_PATH": str(trees["published"]),
            "B3SCALE_RECORDINGS_UNPUBLISHED_PATH": str(trees["unpublished"]),
            "B3SCALE_RECORDINGS_PLAYBACK_HOST": f"http://{front.address}",
        }
        own = Server("b3scaled", folder, b3scaled, environment)
        player = Server("player", folder, b3scaled, environment | {"B3SCALE_RECORDINGS_PLAYER_PATH": str(HERE / "player")})
        nginx = Nginx(folder, front, own, published)
        programs = [postgres, own, player, nginx]
        for program in programs:
            ends.callback(program.end)
        try:
            for program in programs:
                program.run()
            tenant, tickets = Tenant(own, environment), Tickets(SECRET)
            tenant.upload(node, OPEN)
            tenant.post(published, LOCKED)
            tenant.call("updateRecordings", recordID=LOCKED, protect="true")
            lists(nginx.port, tenant)
            for each in (own, nginx):
                files(each.name, each.port, tenant.id, tickets)
                parts(each.name, each.port)
                spellings(each.name, each.port)
            cookies(nginx.name, nginx.port, tenant.id, tickets)
            browser(nginx.port, player.port, tenant, folder)
            changes(nginx.name, nginx.port, tenant, tickets)
            log = (nginx.folder / "recordings.access.log").read_text()
            require(len(log.splitlines()) > 200 and not re.search(r"[0-9]\.[A-Za-z0-9_-]{43}", log), "nginx logs a ticket")
        except (Failure, OSError) as failure:
            for program in programs:
                print(f"{program.name}, the end of its log:\n{program.tail()}", file=sys.stderr)
            sys.exit(f"playback: {failure or type(failure).__name__}")
    say("all", f"played in {time.monotonic() - began:.0f} s")


main()
