//! Blocks and feathered mode: rounds in which every tile is optimised by itself from one snapshot.
//!
//! [`context`] is what the tiles of a level share, [`visit`] moves one tile, [`run`] does the
//! rounds with their files, and [`level`] fits them into the pyramid. What a tile optimises is the
//! mode's: [`feathered`], or [`blocks`] with a [`block_octave`] and its [`tile_style`] for each
//! resolution; the rest is shared.

pub(crate) mod block_octave;
pub(crate) mod blocks;

pub(crate) mod context;
pub(crate) mod feathered;
pub(crate) mod level;
pub(crate) mod run;
pub(crate) mod tile_style;
pub(crate) mod visit;
