//! The subject of a node's refusal: the call or the node.

/// The message keys by which a node refuses a create because of the call. Every other node would refuse it, too.
///
/// Any other key concerns the node: `nonUniqueVoiceBridge` and `checksumError`, `apiNotEnabled` of one in maintenance, and what
/// its operators have it say when it is full.
const OF_THE_CALL: [&str; 15] = [
    "emptyError",
    "fileNameError",
    "idNotUnique",
    "invalidPassword",
    "invalidRequestBody",
    "missingParamMeetingID",
    "missingParamName",
    "notFound",
    "nullError",
    "Params required",
    "parentMeetingDoesNotExist",
    "parentMeetingIdMissing",
    "sizeError",
    "unsupportedContentType",
    "validationError",
];

/// Whether a create that was refused with this key would be refused by every node.
pub fn holds_everywhere(message_key: &str) -> bool {
    OF_THE_CALL.contains(&message_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_in_use_is_no_reason_for_another_node() {
        assert!(holds_everywhere("validationError") && holds_everywhere("idNotUnique"));
        for of_the_node in ["nonUniqueVoiceBridge", "checksumError", "apiNotEnabled", "serverFull", ""] {
            assert!(!holds_everywhere(of_the_node), "{of_the_node}");
        }
    }
}
