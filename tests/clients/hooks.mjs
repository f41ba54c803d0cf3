// Webhooks with npm bigbluebutton-js: hooks.mjs URL SECRET. CLIENTS_NODE is the folder it is installed in.

import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.CLIENTS_NODE, "package.json"));
const { api, http } = require("bigbluebutton-js");

const [url, secret] = process.argv.slice(2);
// This client adds /api itself.
const { hooks } = api(url.replace(/\/api\/$/, ""), secret);

function check(what, came, wanted) {
    const [is, should] = [JSON.stringify(came), JSON.stringify(wanted)];
    if (is !== should) {
        console.error(`node: ${what}: expected ${should}, came ${is}`);
        process.exit(1);
    }
}

const callbackURL = "https://cb.example/hook?a=1&b=2";
const made = await http(hooks.create(callbackURL, { meetingID: "nowhere", eventID: "meeting-ended,user-left" }));
check("create", [made.returncode, made.permanentHook, made.rawData], ["SUCCESS", false, false]);
const again = await http(hooks.create(callbackURL, { meetingID: "nowhere" }));
check("create again", [again.hookID, again.messageKey], [made.hookID, "duplicateWarning"]);
const { hook } = (await http(hooks.list({ meetingID: "nowhere" }))).hooks;
const listed = [hook].flat().find((one) => one.hookID === made.hookID);
check("list", [listed.callbackURL, listed.meetingID, listed.eventID], [callbackURL, "nowhere", "meeting-ended,user-left"]);
check("destroy", (await http(hooks.destroy(made.hookID))).removed, true);
check("destroy again", (await http(hooks.destroy(made.hookID))).messageKey, "destroyMissingHook");
console.log("node: bigbluebutton-js creates, lists and destroys a hook");
