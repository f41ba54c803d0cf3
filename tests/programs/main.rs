//! The programs as they are built: what they print, how they exit, and that nothing of them stays.

mod demo;
mod pipeline;
mod process;
