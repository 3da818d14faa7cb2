//! The program as its users meet it: the real binary, in a fresh folder for each test, with real
//! files.
//!
//! The pipelines are tiny and look at shallow layers, where a fault of the command line shows as
//! well as in a poster.

#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

mod changes;
mod collections;
mod exits;
mod folder;
mod grid;
mod identity;
mod inputs;
mod kills;
mod limits;
mod manual;
mod names;
mod originals;
mod page;
mod plan;
mod runs;
mod score;
mod standard_output;
mod watching;
mod weights;
