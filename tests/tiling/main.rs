//! Canvases in tiles: exact, blocks and feathered mode, held against the untiled picture.

#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

mod rounds;
mod rounds_job;
mod seams;
#[path = "../support/mod.rs"]
mod support;
mod tiles;
