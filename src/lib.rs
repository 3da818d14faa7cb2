//! impasto turns photographs into poster-size paintings: neural style transfer (Gatys, Ecker and Bethge 2015) whose
//! loss is computed exactly over tiles, so that a picture of any size is one picture.
//!
//! # The house
//!
//! A module imports only from floors below its own; `tests/floors.rs` keeps this true.
//!
//! ```text
//! 7 cli                                     commands, progress, exit codes
//! 6 batch report                            many jobs, past failures; what pictures show
//! 5 render                                  one job: pyramid, levels, sweeps over tiles
//! 3 plan                                    settings and probes to numbers; pure
//! 2 objective config                        losses over the network; TOML, checked
//! 1 image tiling network optimise           pictures; grids; VGG19; L-BFGS and Adam
//! 0 units geometry event stop files random tensor kernels
//! ```

pub mod batch;
pub mod cli;
pub mod config;
pub mod event;
pub mod files;
pub mod geometry;
pub mod image;
#[allow(unsafe_code, reason = "vector instructions and uninitialised buffers, behind safe functions")]
pub mod kernels;
pub mod network;
pub mod objective;
pub mod optimise;
pub mod plan;
pub mod random;
pub mod render;
pub mod report;
pub mod stop;
pub mod tensor;
pub mod tiling;
pub mod units;
