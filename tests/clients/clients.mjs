// A lesson and its recordings with npm bbb-api: clients.mjs URL SECRET. CLIENTS_NODE is the folder it is installed in.

import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.CLIENTS_NODE, "package.json"));
const { bbb } = require("bbb-api");

const [url, salt] = process.argv.slice(2);
// This client adds /bigbluebutton/api itself, and sends values as they are: they must not need encoding.
const credentials = { url: url.replace(/\/bigbluebutton\/api\/$/, ""), salt };
const names = { "node-1": "Physics", "node-2": "Chemistry" };

function check(what, came, wanted) {
    const [is, should] = [JSON.stringify(came), JSON.stringify(wanted)];
    if (is !== should) {
        console.error(`node: ${what}: expected ${should}, came ${is}`);
        process.exit(1);
    }
}

// The client makes a list of every element.
async function call(name, params, as = credentials) {
    return (await bbb(as, name, params)).response;
}

for (const [meetingID, name] of Object.entries(names)) {
    const params = { name, meetingID, attendeePW: "viewer", moderatorPW: "moderator", record: "false" };
    check("create", (await call("create", params)).meetingID, [meetingID]);
    check("create again", (await call("create", params)).messageKey, ["duplicateWarning"]);
    check("running before", (await call("isMeetingRunning", { meetingID })).running, ["false"]);
}

for (const [meetingID, name] of Object.entries(names)) {
    const join = { fullName: "Ada", meetingID, password: "moderator", redirect: "false" };
    check("join", (await call("join", join)).returncode, ["SUCCESS"]);
    const info = await call("getMeetingInfo", { meetingID });
    check("info", [info.meetingID, info.meetingName], [[meetingID], [name]]);
}

// With no parameters its query begins with an ampersand.
const { meeting } = (await call("getMeetings", {})).meetings[0];
const listed = meeting.map((one) => [one.meetingID[0], one.meetingName[0]]).sort();
check("meetings", listed, Object.entries(names).sort());

const forged = await call("getMeetings", {}, { ...credentials, salt: "wrong" });
check("wrong secret", forged.messageKey, ["checksumError"]);

const meetings = { meetingID: Object.keys(names).join(",") };
async function recordings(params) {
    const { recording } = (await call("getRecordings", { ...meetings, ...params })).recordings[0];
    return recording ?? [];
}

const recorded = await recordings({});
check("newest first", recorded.map((one) => one.meetingID[0]), ["node-2", "node-1"]);
check("format", recorded[0].playback[0].format[0].type, ["presentation"]);
const recordID = recorded.map((one) => one.recordID[0]).join(",");
check("one of two", (await call("getRecordings", { ...meetings, limit: 1 })).totalElements, ["2"]);
check("unpublish", (await call("publishRecordings", { recordID, publish: "false" })).published, ["false"]);
check("unpublished", (await recordings({ state: "unpublished" })).length, 2);
check("publish", (await call("publishRecordings", { recordID, publish: "true" })).published, ["true"]);
// Of updateRecordings this client does not know the name.
check("metadata", (await recordings({ meta_room: "12%25" })).map((one) => one.metadata[0].room[0]), ["12 b", "12 b"]);
check("no such metadata", await recordings({ meta_room: "13" }), []);
check("delete", (await call("deleteRecordings", { recordID })).deleted, ["true"]);
check("deleted", (await call("getRecordings", meetings)).messageKey, ["noRecordings"]);
check("delete again", (await call("deleteRecordings", { recordID })).messageKey, ["notFound"]);

for (const meetingID of Object.keys(names)) {
    check("end", (await call("end", { meetingID, password: "moderator" })).returncode, ["SUCCESS"]);
}
console.log("node: bbb-api plays the lesson and finds its recordings");
