//! What the jobs of a run share.

use std::sync::Mutex;

use crate::config::RunSettings;
use crate::files::Digests;
use crate::image::Limits;
use crate::render::devices::engine::Engine;
use crate::render::store::targets::TargetStore;

/// What a job is painted with, shared by all jobs of a run.
pub struct RenderContext<'a> {
    /// What computes.
    pub engine: &'a mut Engine,
    /// Statistics of style images that are already there.
    pub targets: &'a Mutex<TargetStore>,
    /// How large pictures may be.
    pub limits: &'a Limits,
    /// What all jobs share.
    pub settings: &'a RunSettings,
    /// What the files that pictures are made from have to stay like.
    pub digests: &'a Digests,
}
