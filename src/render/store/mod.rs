//! What is computed on: canvases, content images and style targets, in memory and on disk.

pub(crate) mod canvas;
pub(crate) mod content;
pub(crate) mod scaled;
pub(crate) mod stage;
pub(crate) mod target_file;
pub(crate) mod targets;
pub(crate) mod unchanged;
