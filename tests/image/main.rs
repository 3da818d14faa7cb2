//! Pictures in and out, held against other decoders and against what their definitions say.

#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

mod big;
mod colour;
mod corpus;
mod errors;
mod fuzz;
mod metadata;
mod orientation;
mod pyramid;
mod roundtrip;
mod rows;
#[path = "../support/mod.rs"]
mod support;
mod tiff;
