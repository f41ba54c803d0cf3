"""Imports two recordings for each client, as a node's script does: recordings.py API TOKEN KEY."""

import sys
from urllib.parse import urlencode
from urllib.request import Request, urlopen

api, token, key = sys.argv[1:]

METADATA = """<recording><id>{id}</id><state>published</state><published>true</published>
<start_time>{start}</start_time><end_time>{end}</end_time><participants>3</participants><raw_size>7340032</raw_size>
<meeting id="{id}" externalId="{meeting}" name="{name}" breakout="false"/>
<meta><meetingId>{meeting}</meetingId><meetingName>{name}</meetingName><isBreakout>false</isBreakout><room>12 b</room></meta>
<playback><format>presentation</format><link>https://node.example/playback/presentation/2.3/{id}</link>
<processing_time>42000</processing_time><duration>3600000</duration><size>1024000</size></playback></recording>"""

for number, (meeting, name) in enumerate(
    [("python 1", "Physics &amp; Ähnliches"), ("python-2", "Two + two"), ("node-1", "Physics"), ("node-2", "Chemistry")]
):
    start = 1700000000000 + number * 3600000
    described = METADATA.format(id=f"{number:040x}-{start}", start=start, end=start + 3600000, meeting=meeting, name=name)
    query = urlencode({"override_frontend_key": key, "override_original_meeting_id": meeting})
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/xml"}
    urlopen(Request(f"{api}/api/v1/recordings-import?{query}", described.encode(), headers)).read()
