"""A lesson, its recordings and a hook with PyPI bigbluebutton-api-python: clients.py URL SECRET."""

import ssl
import sys
from urllib.request import urlopen
from xml.etree import ElementTree

from bigbluebutton_api_python import BigBlueButton
from bigbluebutton_api_python.exception import BBBException
from bigbluebutton_api_python.util import UrlBuilder

url, secret = sys.argv[1:]
client = BigBlueButton(url, secret)
# Two, since this client cannot read a list of one.
names = {"python 1": "Physics & Ähnliches", "python-2": "Two + two = four"}


def check(what, came, wanted):
    if came != wanted:
        sys.exit(f"python: {what}: expected {wanted!r}, came {came!r}")


def failure(call):
    """The message key of a call that must fail."""
    try:
        call()
    except BBBException as error:
        return error.key
    return "nothing went wrong"


check("version", str(client.get_api_version().get_return_code()), "SUCCESS")
check("meetings before", client.get_meetings().get_meetings(), [])

for meeting_id, name in names.items():
    # The client keeps its parameters from call to call: each call needs a map of its own.
    params = {"name": name, "attendeePW": "viewer", "moderatorPW": "moderator", "record": False}
    created = client.create_meeting(meeting_id, params, {"room": "12 b"})
    check("create", str(created.get_meetingid()), meeting_id)
    check("create again", str(client.create_meeting(meeting_id, dict(params)).get_message_key()), "duplicateWarning")
    check("running before", client.is_meeting_running(meeting_id).is_meeting_running(), False)

for meeting_id in names:
    join = client.get_join_meeting_url("Ada Lovelace", meeting_id, "moderator", {"redirect": "false"})
    page = ElementTree.fromstring(urlopen(join).read()).findtext("url")
    # Opening the page is what makes a meeting run. The nodes' certificates are of an authority that Python does not know.
    check("page", urlopen(page, context=ssl._create_unverified_context()).status, 200)
    check("running", client.is_meeting_running(meeting_id).is_meeting_running(), True)

for meeting_id, name in names.items():
    response = client.get_meeting_info(meeting_id)
    info = response.get_meetinginfo()
    check("info", (str(info.get_meetingid()), str(info.get_meetingname())), (meeting_id, name))
    check("people", (info.get_participantcount(), len(response.get_attendees())), (1, 1))

listed = {str(one.get_meetingid()): str(one.get_meetingname()) for one in client.get_meetings().get_meetings()}
check("meetings", listed, names)

check("wrong secret", failure(lambda: BigBlueButton(url, "wrong").get_meetings()), "checksumError")
check("unknown meeting", failure(lambda: client.get_meeting_info("nobody's")), "notFound")


def recordings(**query):
    """The states of the meetings' recordings by their names."""
    listed = client.get_recordings(",".join(names), **query).get_recordings()
    return {str(one.get_name()): str(one.get_state()) for one in listed}


listed = client.get_recordings(", ".join(names)).get_recordings()
check("newest first", [str(one.get_meetingid()) for one in listed], ["python-2", "python 1"])
check("played", str(listed[0].get_playbackurl()).rpartition("/playback/")[2], f"presentation/2.3/{listed[0].get_recordid()}")
ids = ",".join(str(one.get_recordid()) for one in listed)
check("published", set(recordings().values()), {"published"})
check("metadata", len(recordings(meta={"room": "12%"})), 2)
check("no such metadata", recordings(meta={"room": "13"}), {})
check("unpublish", client.publish_recordings(ids, False).is_published(), False)
# This client checks the states it is asked for, and does not send them.
check("unpublished", set(recordings().values()), {"unpublished"})
check("publish", client.publish_recordings(ids).is_published(), True)
check("update", client.update_recordings(ids, {"name": "A & B", "room": ""}).is_updated(), True)
check("updated", [client.get_recordings(recording_id=ids).get_recordings()[0].get_meta(name) for name in ("name", "room")], ["A & B", None])
check("unknown recording", failure(lambda: client.publish_recordings("0" * 40)), "notFound")
check("delete", client.delete_recordings(ids).is_deleted(), True)
check("deleted", recordings(), {})
check("delete again", failure(lambda: client.delete_recordings(ids)), "notFound")



def hooks(call, **params):
    """The fields of an answer about hooks. This client signs any call, and has no functions for these."""
    answer = ElementTree.fromstring(urlopen(UrlBuilder(url, secret).buildUrl(f"hooks/{call}", params)).read())
    return {field.tag: field.text for field in answer.iter()}


address = "https://cb.example/hook?a=1&b=Ähnliches"
made = hooks("create", callbackURL=address, meetingID="python 1", eventID="User-Left")
check("create hook", made["returncode"], "SUCCESS")
check("create hook again", hooks("create", callbackURL=address, meetingID="python 1")["messageKey"], "duplicateWarning")
listed = hooks("list", meetingID="python 1")
check("list hooks", [listed[name] for name in ("hookID", "callbackURL", "eventID")], [made["hookID"], address, "user-left"])
check("destroy hook", hooks("destroy", hookID=made["hookID"])["removed"], "true")
check("destroy hook again", hooks("destroy", hookID=made["hookID"])["messageKey"], "destroyMissingHook")

for meeting_id in names:
    check("end", str(client.end_meeting(meeting_id, "moderator").get_return_code()), "SUCCESS")
print("python: bigbluebutton-api-python plays the lesson and finds its recordings")
