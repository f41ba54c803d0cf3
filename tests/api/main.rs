//! The server over real sockets: every way a client may call, and every way it may misbehave.

mod bodies;
mod down;
mod joins;
mod limits;
mod log;
mod rig;
mod shapes;
mod status;
