"""Recordings on the disk and in the database, and the tickets that open them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import shutil
import struct
import subprocess
import tarfile
import time
import uuid
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from cluster import Server, require, until

HERE = Path(__file__).resolve().parent
OPEN = "0123456789012345678901234567890123456789-1700000000000"
LOCKED = "abcdef6789012345678901234567890123456789-1700000000001"
NAME = "Physics & more: <b>waves</b> 🌊"
LINKS = {
    "notes": "/notes/ID/notes.pdf",
    "podcast": "/podcast/ID/audio.ogg",
    "presentation": "/playback/presentation/2.3/ID",
    "screenshare": "/recording/screenshare/ID/",
    "statistics": "/playback/statistics/ID/",
    "video": "/playback/video/ID/",
}
TENANT_SECRET = "of the school"
THUMBNAIL = "/presentation/ID/presentation/d2d9-1/thumbnails/thumb-1.png"
# As BBB's scripts write it, one for each format.
METADATA = """<?xml version="1.0"?>
<recording>
  <id>{id}</id><state>published</state><published>true</published>
  <start_time>1700000000000</start_time><end_time>1700000012000</end_time><participants>3</participants><raw_size>7340032</raw_size>
  <meeting id="{id}" externalId="physics" name="{name}" breakout="false"/>
  <meta><meetingId>physics</meetingId><meetingName>{name}</meetingName><isBreakout>false</isBreakout></meta>
  <playback>
    <format>{form}</format><link>https://node.example{link}</link>
    <processing_time>4200</processing_time><duration>12000</duration><size>102400</size>{extensions}
  </playback>
</recording>
"""
IMAGES = """
    <extensions><preview><images>
      <image width="176" height="136" alt="Slide 1">https://node.example{}</image>
    </images></preview></extensions>"""
VTT = "WEBVTT\n\n00:00.000 --> 00:12.000\nHello, Wörld\n"
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]>>endobj\ntrailer<</Root 1 0 R>>\n"
)


def slides() -> str:
    """The slides of a presentation, the first of them twice."""
    shown = [("1", "0.0 9.0", "3.0 12.0"), ("2", "3.0", "6.0"), ("3", "6.0", "9.0")]
    image = '<image class="slide" in="{}" out="{}" xlink:href="presentation/d2d9-1/slide-{}.png"/>'
    images = "".join(image.format(begin, end, number) for number, begin, end in shown)
    return f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{images}{"<g/>" * 500}</svg>'


def write(tree: Path, record: str) -> None:
    """Writes a recording in all formats."""
    evil = "document.title = 'it runs'"
    media = {
        "presentation": {
            "video/webcams.webm": "webcams.webm",
            "deskshare/deskshare.webm": "deskshare.webm",
            **{f"presentation/d2d9-1/slide-{number}.png": f"slide-{number}.png" for number in (1, 2, 3)},
            "presentation/d2d9-1/thumbnails/thumb-1.png": "slide-1.png",
        },
        "podcast": {"audio.ogg": "audio.ogg"},
        "screenshare": {"screenshare-0.webm": "deskshare.webm"},
        "video": {"video-0.m4v": "video-0.m4v", "video-0.webm": "webcams.webm"},
    }
    texts = {
        "presentation": {
            "shapes.svg": slides(),
            "slides_new.xml": "<popcorn/>",
            "captions.json": '[{"locale":"en","localeName":"English"}]',
            "caption_en.vtt": VTT,
            "notes.html": f"<title>notes</title><h1>Notes</h1><script>{evil}</script><img src=x onerror=\"{evil}\">",
        },
        "notes": {"notes.html": f"<title>notes</title><h1>Shared notes</h1><script>{evil}</script>"},
        "video": {"captions.json": '[{"locale":"en","localeName":"English"}]', "caption_en.vtt": VTT},
        "statistics": {"data.json": json.dumps({"people": 3}), "report.txt": "three people"},
    }
    for form, link in LINKS.items():
        images = IMAGES.format(THUMBNAIL.replace("ID", record)) if form == "presentation" else ""
        name, link = escape(NAME), link.replace("ID", record)
        document = METADATA.format(id=record, name=name, form=form, link=link, extensions=images)
        texts[form] = {"metadata.xml": document, **texts.get(form, {})}
        for name, source in media.get(form, {}).items():
            target = tree / form / record / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(HERE / "media" / source, target)
        for name, text in texts.get(form, {}).items():
            target = tree / form / record / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    (tree / "notes" / record / "notes.pdf").write_bytes(PDF)


class Tenant:
    """The frontend of a server: how its recordings come in, and what it asks."""

    def __init__(self, server: Server, environment: dict[str, str]) -> None:
        self.port = server.port
        token = subprocess.run([server.command[0], "token"], env=environment, stdout=subprocess.PIPE, check=True, text=True)
        self.token = token.stdout.strip()
        frontend = {"bbb": {"key": "school", "secret": TENANT_SECRET}, "active": True}
        self.id = str(json.loads(self.rest("POST", "/frontends", json.dumps(frontend)))["id"])

    def rest(self, method: str, path: str, body: bytes | str = b"") -> bytes:
        connection = self.port.connect()
        try:
            connection.request(method, f"/api/v1{path}", body, {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        require(answer.status in (200, 201, 202, 204), f"{method} {path.split('?')[0]}: {answer.status} {text.decode(errors='replace')}")
        return text

    def upload(self, tree: Path, record: str) -> None:
        """As an agent or `b3scalectl recording import` does: the archive of each format. The frontend gets the recording."""
        for form in LINKS:
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w:gz") as archive:
                archive.add(tree / form / record, f"{form}/{record}")
            content = packed.getvalue()
            described = {"record_id": record, "format": form, "length": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            begun = json.loads(self.rest("POST", "/recordings/upload", json.dumps(described)))
            for number in begun["missing"]:
                start = number * begun["chunk_size"]
                self.rest("PUT", f"/recordings/upload/{begun['id']}/{number}", content[start : start + begun["chunk_size"]])
            self.rest("POST", f"/recordings/upload/{begun['id']}/finish")
            until(f"{form} is imported", lambda at=f"/recordings/upload/{begun['id']}": self.is_imported(at))
        self.rest("POST", f"/recordings/{record}/assign", json.dumps({"frontend_key": "school", "meeting_id": "physics"}))

    def is_imported(self, path: str) -> bool:
        state = json.loads(self.rest("GET", path))
        require(state["state"] != "refused", f"an upload: {state}")
        return state["state"] == "imported"

    def post(self, tree: Path, record: str) -> None:
        """As the original's script does: the document of each format, while its files lie in the shared folder."""
        for form in LINKS:
            document = (tree / form / record / "metadata.xml").read_bytes()
            self.rest("POST", "/recordings-import?override_frontend_key=school&override_original_meeting_id=physics", document)

    def call(self, name: str, **parameters: str) -> ElementTree.Element:
        query = urlencode(parameters)
        checksum = hashlib.sha256(f"{name}{query}{TENANT_SECRET}".encode()).hexdigest()
        connection = self.port.connect()
        try:
            connection.request("GET", f"/bbb/school/api/{name}?{query}&checksum={checksum}")
            document = ElementTree.fromstring(connection.getresponse().read())
        finally:
            connection.close()
        require(document.findtext("returncode") == "SUCCESS", f"{name}: {document.findtext('message')}")
        return document

    def links(self, record: str) -> dict[str, str]:
        """The listed link of each format."""
        formats = self.call("getRecordings", recordID=record).iterfind("recordings/recording/playback/format")
        return {one.findtext("type", ""): one.findtext("url", "").strip() for one in formats}

    def thumbnail(self, record: str) -> str:
        image = self.call("getRecordings", recordID=record).findtext(".//preview/images/image") or ""
        return image.strip()


class Tickets:
    """Tickets, made by the book and not by b3scaled."""

    def __init__(self, secret: str) -> None:
        # Protecting the recording has ended all earlier ones.
        self.epoch = 1
        self.key = hmac.digest(secret.encode(), b"b3scale recording tickets 1", "sha256")

    def issue(self, purpose: int, frontend: str, record: str, form: str, hours: int = 1) -> str:
        expiry = int(time.time()) + hours * 3600
        head = struct.pack(">BQ16siQ", purpose, expiry, uuid.UUID(frontend).bytes, self.epoch, len(record))
        signature = hmac.digest(self.key, head + record.encode() + form.encode(), hashlib.sha256)
        return f"{expiry}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"

    def link(self, frontend: str, record: str, form: str) -> str:
        return self.issue(1, frontend, record, form)

    def thumbnail(self, frontend: str, record: str) -> str:
        return self.issue(4, frontend, record, "presentation", hours=24)

    def play(self, frontend: str, record: str, form: str) -> str:
        return self.issue(2, frontend, record, form, hours=8)
