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

/// Those that say which meeting is meant and where it may live, who someone is and what they may do.
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
    "publish",
    "recordID",
    "replaceSessionToken",
    "role",
    "sessionToken",
    "userID",
];

/// Those whose values nodes may repeat in their lists of meetings.
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

/// Behind these a name is that of an element in a node's documents.
const ELEMENTS: [&str; 2] = ["meta_", "userdata-"];

/// Whether it is a name of BBB's in a spelling that BBB does not read: `ROLE`, `role[]` or `role` and a blank.
pub(super) fn is_misspelt(name: &str) -> bool {
    known_as(name).is_some_and(|known| known != name)
}

/// The name by which BBB reads what is meant.
pub(super) fn as_bbb_spells(name: &str) -> &str {
    known_as(name).unwrap_or(name)
}

/// Whether it says which meeting is meant, who someone is or what they may do, in any spelling.
pub(super) fn is_trusted(name: &str) -> bool {
    TRUSTED.iter().any(|trusted| are_alike(trusted, name))
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

/// Whether a node would write it into its documents as the name of an element, as it does with metadata and user data, and it
/// cannot be one.
pub(super) fn is_unwritable(name: &str) -> bool {
    ELEMENTS.iter().find_map(|prefix| name.strip_prefix(prefix)).is_some_and(|element| !xml::is_name(element))
}

/// Whether what it says stands in the lists of meetings that nodes give.
pub(super) fn is_listed(name: &str) -> bool {
    LISTED.contains(&name) || ELEMENTS.iter().any(|prefix| name.starts_with(prefix))
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
        let mut named = TRUSTED.iter().chain(LISTED).filter(|name| !is_folded(name));
        assert!(named.all(|name| KNOWN.contains(name)));
        assert!(is_trusted("PASSWORD ") && !is_trusted("welcome"));
    }
}
