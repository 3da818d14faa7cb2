//! Blocks and feathered mode: rounds in which every tile is optimised by itself from one snapshot.

pub(crate) mod blocks;
pub(crate) mod feathered;
pub(crate) mod level;
pub(crate) mod run;
pub(crate) mod visits;
