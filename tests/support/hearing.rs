//! Somebody who hears every log.

use std::io;
use std::sync::Once;

/// Hears what is logged in this process, and forgets it.
///
/// A line that nobody wants when it is first reached is switched off, by a thread that may know nothing of the one whose test
/// is about to want it. So whatever serves calls in a test asks for this first.
pub fn hear() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let nowhere = tracing_subscriber::fmt().with_writer(io::sink).finish();
        let _ = tracing_subscriber::util::SubscriberInitExt::try_init(nowhere);
    });
}
