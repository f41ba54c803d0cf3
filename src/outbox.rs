//! The outbox: deliveries to the callbacks of frontends.
//!
//! A delivery is a row that commits with its cause, and a job of the bench. Any server makes the tries, one at a time for each
//! delivery. A delivery that got a 2xx is settled before its job ends, and is never sent again. Only a server that is killed
//! between the two sends it twice, under the same `webhook-id`.
//!
//! ```text
//! deliver.rs    one try: its row, its requests, its verdict
//! request.rs    the request, as each receiver wants it        sign.rs     its signatures
//! courier.rs    the way out                                   redirect.rs the redirects that are followed
//! address.rs    URLs of tenants, as they are called
//! verdict.rs    what an answer means, and the pauses          count.rs    figures
//! shares.rs     the tries of one tenant at a time             drain.rs    the end of a server
//! ```

mod address;
mod count;
mod courier;
mod deliver;
mod drain;
mod redirect;
mod request;
mod shares;
mod sign;
mod verdict;

pub use address::host;
pub use count::{CountDeliveries, tried};
pub use courier::{Answered, Courier, Parcel, Patience, Unsent};
pub use deliver::{Deliver, Deliverable};
pub use drain::Drain;

pub(crate) use request::{OURS, WEBHOOK_ID, appended};
pub(crate) use shares::Shares;
pub(crate) use verdict::Outcome;
