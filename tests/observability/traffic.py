"""Two frontends on an ordinary day, made short: meetings begin, people come, frontends ask, meetings end, and some calls are wrong."""

import random
import threading
from typing import Self

from cluster import call
from waiting import Failure

PEOPLE = ("Ada Lovelace", "Grace Hopper")
# Of a frontend at a time.
MEETINGS = 9
# Between two calls of a frontend.
PAUSE = 0.08


class Frontend(threading.Thread):
    """Calls one server after the other, as through a load balancer, until it is told to stop."""

    def __init__(self, key: str, secret: str, servers: list[str]) -> None:
        super().__init__(daemon=True)
        self.bases = [f"{server}/bbb/{key}/bigbluebutton/api/" for server in servers]
        self.secret = secret
        self.chance = random.Random(key)
        self.enough = threading.Event()
        self.number = self.calls = 0
        self.meetings: list[str] = []

    def run(self) -> None:
        while not self.enough.wait(PAUSE):
            self._once()

    def _once(self) -> None:
        if len(self.meetings) < MEETINGS and self.chance.random() < 0.2:
            self.number += 1
            self._create(f"meeting-{self.number}")
            return
        meeting = self.chance.choice([*self.meetings, "no-such-meeting"])
        match self.chance.choices(["isMeetingRunning", "getMeetingInfo", "getMeetings", "join", "create", "end"], [40, 20, 10, 15, 8, 4])[0]:
            case "getMeetings":
                self._call("getMeetings")
            case "join":
                self._call("join", meetingID=meeting, fullName=self.chance.choice(PEOPLE), role="VIEWER")
            case "create" if meeting in self.meetings:
                self._create(meeting)
            case "end" if meeting in self.meetings:
                self.meetings.remove(meeting)
                self._call("end", meetingID=meeting)
            case _ as name:
                self._call("isMeetingRunning" if name in ("create", "end") else name, meetingID=meeting)

    def _create(self, meeting: str) -> None:
        if "SUCCESS" in self._call("create", meetingID=meeting, name=meeting) and meeting not in self.meetings:
            self.meetings.append(meeting)

    def _call(self, name: str, /, **params: str) -> str:
        self.calls += 1
        try:
            return call(self.bases[self.calls % len(self.bases)], self.secret, name, **params)
        except (Failure, OSError):
            # People sent to a node that has just died see their browser's error page.
            return ""


class Traffic:
    """Frontends that are at work until this ends."""

    def __init__(self, secrets: dict[str, str], servers: list[str]) -> None:
        self.frontends = [Frontend(key, secret, servers) for key, secret in secrets.items()]

    def __enter__(self) -> Self:
        for frontend in self.frontends:
            frontend.start()
        return self

    def __exit__(self, *_: object) -> None:
        for frontend in self.frontends:
            frontend.enough.set()
        for frontend in self.frontends:
            frontend.join(60)

    @property
    def calls(self) -> int:
        return sum(frontend.calls for frontend in self.frontends)
