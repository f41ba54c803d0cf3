"""Recordings on the disk and in the database, and the tickets that open them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import struct
import subprocess
import time
import uuid
from pathlib import Path

from cluster import Postgres, postgres_programs

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
            "metadata.xml": f"<recording><id>{record}</id><meta><meetingName>Physics</meetingName></meta></recording>",
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
    for form in LINKS:
        for name, source in media.get(form, {}).items():
            target = tree / form / record / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(HERE / "media" / source, target)
        for name, text in texts.get(form, {}).items():
            target = tree / form / record / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    (tree / "notes" / record / "notes.pdf").write_bytes(PDF)


def add(postgres: Postgres, frontend: str, record: str, protected: bool) -> None:
    """Lists a recording that lies in the published tree."""
    images = [{"link": f"/presentation/{record}/presentation/d2d9-1/thumbnails/thumb-1.png", "alt": "", "width": "", "height": ""}]
    quoted = NAME.replace("'", "''")
    sql = (
        "INSERT INTO recordings (record_id, frontend_id, meeting_id, internal_meeting_id, name, state, protected, start_time, end_time)"
        f" VALUES ('{record}', '{frontend}', 'physics', '{record}', '{quoted}', 'published', {protected}, 1700000000000, 1700000012000);"
    )
    for form, link in LINKS.items():
        shown = json.dumps(images if form == "presentation" else [])
        sql += (
            "INSERT INTO recording_formats (record_id, format, link, duration, images, shelf, place)"
            f" VALUES ('{record}', '{form}', '{link.replace('ID', record)}', 12000, '{shown}', 'local', 'published');"
        )
    query(postgres, sql)


def query(postgres: Postgres, sql: str) -> None:
    command = [shutil.which("psql") or f"{postgres_programs()}/psql", postgres.url, "-q", "-v", "ON_ERROR_STOP=1"]
    subprocess.run(command, input=sql, text=True, check=True)


class Tickets:
    """Tickets, made by the book and not by b3scaled."""

    def __init__(self, secret: str) -> None:
        self.key = hmac.digest(secret.encode(), b"b3scale recording tickets 1", "sha256")

    def issue(self, purpose: int, frontend: str, record: str, form: str, epoch: int = 0, hours: int = 1) -> str:
        expiry = int(time.time()) + hours * 3600
        head = struct.pack(">BQ16siQ", purpose, expiry, uuid.UUID(frontend).bytes, epoch, len(record))
        signature = hmac.digest(self.key, head + record.encode() + form.encode(), hashlib.sha256)
        return f"{expiry}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"

    def link(self, frontend: str, record: str, form: str) -> str:
        return self.issue(1, frontend, record, form)

    def thumbnail(self, frontend: str, record: str) -> str:
        return self.issue(4, frontend, record, "presentation", hours=24)

    def play(self, frontend: str, record: str, form: str, epoch: int = 0) -> str:
        return self.issue(2, frontend, record, form, epoch, hours=8)
