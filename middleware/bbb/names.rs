//! The names of parameters: how BBB spells them, which it takes for one, and which must not be left to strangers.

use std::borrow::Cow;

use super::xml;

/// Every parameter that BBB reads by its whole name, as BBB spells it.
const KNOWN: &[&str] = &[
    "allowModsToEjectCameras",
    "allowModsToUnmuteUsers",
    "allowOverrideClientSettingsOnCreateCall",
    "allowPromoteGuestToModerator",
    "allowRequestsWithoutSession",
    "allowStartStopRecording",
    "attendeePW",
    "audioBridge",
    "auth",
    "autoStartRecording",
    "avatarURL",
    "bannerColor",
    "bannerText",
    "bot",
    "breakoutRoomsCaptureNotes",
    "breakoutRoomsCaptureNotesFilename",
    "breakoutRoomsCaptureSlides",
    "breakoutRoomsCaptureSlidesFilename",
    "breakoutRoomsEnabled",
    "breakoutRoomsPrivateChatEnabled",
    "breakoutRoomsRecord",
    "cameraBridge",
    "checksum",
    "clientSettingsOverride",
    "clientSettingsOverrideJsonUrl",
    "copyright",
    "createTime",
    "darklogo",
    "defaultLayout",
    "dialNumber",
    "disabledFeatures",
    "disabledFeaturesExclude",
    "duration",
    "endWhenNoModerator",
    "endWhenNoModeratorDelayInMinutes",
    "enforceLayout",
    "errorRedirectUrl",
    "excludeFromDashboard",
    "existingUserID",
    "firstName",
    "freeJoin",
    "fullName",
    "groups",
    "guest",
    "guestPolicy",
    "isBreakout",
    "isBreakoutRoom",
    "joinViaHtml5",
    "keepEvents",
    "kind",
    "label",
    "lang",
    "lastName",
    "learningDashboardCleanupDelayInMinutes",
    "learningDashboardEnabled",
    "limit",
    "lockSettingsDisableCam",
    "lockSettingsDisableMic",
    "lockSettingsDisableNote",
    "lockSettingsDisableNotes",
    "lockSettingsDisablePrivateChat",
    "lockSettingsDisablePublicChat",
    "lockSettingsHideUserList",
    "lockSettingsHideViewersAnnotation",
    "lockSettingsHideViewersCursor",
    "lockSettingsLockOnJoin",
    "lockSettingsLockOnJoinConfigurable",
    "lockSettingsLockedLayout",
    "lockSettingsPresenterPolicy",
    "loginURL",
    "logo",
    "logoutTimer",
    "logoutURL",
    "maxNumPages",
    "maxParticipants",
    "maxPinnedCameras",
    "meetingCameraCap",
    "meetingEndedURL",
    "meetingExpireIfNoUserJoinedInMinutes",
    "meetingExpireWhenLastUserLeftInMinutes",
    "meetingID",
    "meetingKeepEvents",
    "meetingLayout",
    "message",
    "moderatorOnlyMessage",
    "moderatorPW",
    "multiUserWhiteboardEnabled",
    "muteOnStart",
    "name",
    "notifyRecordingAppend",
    "notifyRecordingIsOn",
    "offset",
    "parentMeetingID",
    "password",
    "pluginManifests",
    "pluginManifestsFetchUrl",
    "preUploadedPresentation",
    "preUploadedPresentationName",
    "preUploadedPresentationOverrideDefault",
    "presentationConversionCacheEnabled",
    "presentationUploadExternalDescription",
    "presentationUploadExternalUrl",
    // Not of BBB, but of b3scale and scalelite.
    "protect",
    "publish",
    "record",
    "recordFullDurationMedia",
    "recordID",
    "redirect",
    "replaceSessionToken",
    "requireUserConsentBeforeUnmuting",
    "role",
    "screenShareBridge",
    "sequence",
    "sessionName",
    "sessionToken",
    "sharedNotesEditor",
    "sharedNotesInitialContentJson",
    "sharedNotesInitialContentJsonUrl",
    "sharedNotesInitialContentMarkdown",
    "sharedNotesInitialContentMarkdownUrl",
    "state",
    "userCameraCap",
    "userID",
    "userName",
    "virtualBackgroundsDisabled",
    "voiceBridge",
    "webVoice",
    "webVoiceConf",
    "webcamBackgroundURL",
    "webcamsOnlyForModerator",
    "welcome",
];

/// Names that identify the meeting and its place, an attendee and their rights, or a recording and its visibility.
const TRUSTED: &[&str] = &[
    "attendeePW",
    "auth",
    "bot",
    "checksum",
    "createTime",
    "existingUserID",
    "guest",
    "guestPolicy",
    "isBreakout",
    "meetingID",
    // By which a frontend chooses the tags of a node.
    "meta_server-tag",
    "moderatorPW",
    "parentMeetingID",
    "password",
    "protect",
    "publish",
    "recordID",
    "replaceSessionToken",
    "role",
    "sessionToken",
    "userID",
];

/// Names with values that nodes may repeat in their lists of meetings.
const LISTED: &[&str] = &[
    "attendeePW",
    "avatarURL",
    "bannerText",
    "dialNumber",
    "firstName",
    "fullName",
    "lastName",
    "moderatorOnlyMessage",
    "moderatorPW",
    "name",
    "userID",
    "voiceBridge",
    "welcome",
];

/// Names that make clients run scripts, control recording, or choose the phone room and the servers of a meeting. So does
/// every address: see [`needs_proof`].
const REACHING: &[&str] = &[
    "allowOverrideClientSettingsOnCreateCall",
    "allowPromoteGuestToModerator",
    "allowRequestsWithoutSession",
    "allowStartStopRecording",
    "audioBridge",
    "autoStartRecording",
    "breakoutRoomsCaptureNotes",
    "breakoutRoomsCaptureSlides",
    "breakoutRoomsRecord",
    "cameraBridge",
    "clientSettingsOverride",
    "darklogo",
    "dialNumber",
    "keepEvents",
    "logo",
    "meetingKeepEvents",
    "pluginManifests",
    "record",
    "recordFullDurationMedia",
    "screenShareBridge",
    "voiceBridge",
    "webVoice",
    "webVoiceConf",
];

/// Whether it is a name of BBB's in a spelling that BBB does not read: `ROLE`, `role[]` or `role` and a blank.
pub(super) fn is_misspelt(name: &str) -> bool {
    known_as(name).is_some_and(|known| known != name)
}

/// BBB's spelling of the name.
pub(super) fn as_bbb_spells(name: &str) -> &str {
    known_as(name).unwrap_or(name)
}

/// Whether it identifies a meeting, an attendee or rights, in any spelling.
pub(super) fn is_trusted(name: &str) -> bool {
    TRUSTED.iter().any(|trusted| are_alike(trusted, name))
}

/// Whether only a proved call may set it: trusted names, addresses for people or nodes, and names with effects beyond
/// the meeting's texts and slides.
pub(super) fn needs_proof(name: &str) -> bool {
    let is_address = || folded(name).collect::<String>().ends_with("url");
    let is_plugin = || name.starts_with("plugin_");
    is_trusted(name) || REACHING.iter().any(|reaching| are_alike(reaching, name)) || is_address() || is_plugin()
}

/// Whether BBB takes both for one parameter. It keeps names of metadata in lower case.
pub(super) fn are_one(one: &str, other: &str) -> bool {
    one == other || (is_folded(one) && is_folded(other) && one.eq_ignore_ascii_case(other))
}

/// The key that names share which BBB takes for one.
pub(super) fn key(name: &str) -> Cow<'_, str> {
    if is_folded(name) && name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// Whether a reader may take both for one: case, blanks, control characters and text in brackets do not count.
pub fn are_alike(one: &str, other: &str) -> bool {
    folded(one).eq(folded(other))
}

/// Whether a node would write it into its documents as the name of an element, and it cannot be one.
pub(super) fn is_unwritable(name: &str) -> bool {
    element(name).is_some_and(|element| !xml::is_name(element))
}

/// Whether its value stands in the lists of meetings that nodes give.
pub(super) fn is_listed(name: &str) -> bool {
    LISTED.contains(&name) || element(name).is_some()
}

/// The element that nodes make of metadata and of each name that begins with `userdata`. BBB splits such a name at its dash, so only
/// `userdata-` leads to a good element.
fn element(name: &str) -> Option<&str> {
    let of_user = || name.starts_with("userdata").then(|| name.strip_prefix("userdata-").unwrap_or_default());
    name.strip_prefix("meta_").or_else(of_user)
}

fn known_as(name: &str) -> Option<&'static str> {
    let first = folded(name).next()?;
    let may_be = |known: &&&str| known.starts_with(first);
    KNOWN.iter().filter(may_be).find(|known| are_alike(known, name)).copied()
}

fn is_folded(name: &str) -> bool {
    name.starts_with("meta_") || name.starts_with("plugin_")
}

fn folded(name: &str) -> impl Iterator<Item = char> {
    let letters = name.split('[').next().unwrap_or_default().chars();
    letters.filter(|letter| !letter.is_control() && !letter.is_whitespace()).flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bbb_reads_its_names_in_one_spelling() {
        for known in KNOWN {
            assert!(!is_misspelt(known), "{known}");
            assert!(known.starts_with(|first: char| first.is_ascii_lowercase()), "{known} would not be found");
        }
        for name in ["ROLE", "Role", "role[]", "role[0]", " role", "role\u{a0}", "ro\0le", "meetingid", "ISBREAKOUT"] {
            assert!(is_misspelt(name), "{name}");
        }
        for name in ["roles", "userdata-Role", "meta_Role", "meta_role", "", "futureThing"] {
            assert!(!is_misspelt(name), "{name}");
        }
    }

    #[test]
    fn names_of_metadata_are_one_in_any_case() {
        assert!(are_one("meta_Foo", "meta_foo") && are_one("role", "role") && are_one("plugin_A", "plugin_a"));
        assert!(!are_one("Role", "role") && !are_one("meta_foo", "meta_foo "));
        assert!(are_alike("META_foo[]", "meta_Foo") && !are_alike("meta_foo", "meta_foo2"));
    }

    #[test]
    fn what_is_trusted_is_known() {
        let mut named = TRUSTED.iter().chain(LISTED).chain(REACHING).filter(|name| !is_folded(name));
        assert!(named.all(|name| KNOWN.contains(name)));
        assert!(is_trusted("PASSWORD ") && !is_trusted("welcome"));
    }

    #[test]
    fn addresses_scripts_and_recording_need_proof_and_texts_and_slides_do_not() {
        let plain =
            ["pluginManifests", "pluginManifestsFetchUrl", "clientSettingsOverrideJsonUrl", "record", "voiceBridge"];
        let addresses =
            ["meetingEndedURL", "LogoutUrl", "meta_endCallbackUrl", "meta_Bbb-Recording-Ready-URL", "futureUrl"];
        let more = ["clientSettingsOverride", "meta_analytics-callback-url", "plugin_x", "RECORD[]", "role"];
        for name in plain.into_iter().chain(addresses).chain(more) {
            assert!(needs_proof(name), "{name}");
        }
        for name in
            ["welcome", "name", "bannerText", "preUploadedPresentation", "meta_course", "lockSettingsDisableCam"]
        {
            assert!(!needs_proof(name), "{name}");
        }
    }

    #[test]
    fn every_name_that_begins_with_userdata_is_an_element_for_nodes() {
        for name in
            ["userdataZ-x y", "userdataZ-x", "userdata", "userdata-", "userdata-x y", "userdata--x", "userdata_x"]
        {
            assert!(is_unwritable(name), "{name}");
        }
        for name in ["userdata-bbb_x", "userdata-a-b", "Userdata-x y", "user"] {
            assert!(!is_unwritable(name), "{name}");
        }
        assert!(is_listed("userdata-a") && is_listed("meta_a") && !is_listed("groups"));
    }
}
