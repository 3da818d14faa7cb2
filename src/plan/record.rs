//! A job as it is written down: in a run's plan and journal, and by `impasto plan --json`.

use serde::{Deserialize, Serialize};

use super::levels::Level;
use super::{Framing, Job};
use crate::config::json_of;
use crate::files::FileId;
use crate::objective::Spec;

/// A job, its files by their identity.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobRecord {
    /// Position in the run, from 0.
    pub index: usize,
    /// The output's file name, as text.
    pub name: String,
    /// The variant's name, when the pipeline has variants.
    pub variant: Option<String>,
    /// The content image.
    pub content: FileId,
    /// What `{index}` stands for in the names of this content image's pictures.
    pub number: usize,
    /// Where the finished picture goes.
    pub output: FileId,
    /// How the content image meets the canvas.
    pub framing: Framing,
    /// The loss.
    pub spec: Spec,
    /// The pyramid, smallest level first.
    pub levels: Vec<Level>,
    /// The checked settings, by table and key, as a pipeline has them.
    pub settings: serde_json::Value,
}

impl JobRecord {
    /// Megapixel-evaluations from the first level to the last.
    pub fn work(&self) -> f64 {
        self.levels.iter().map(Level::work).sum()
    }
}

impl From<&Job> for JobRecord {
    fn from(job: &Job) -> Self {
        Self {
            index: job.index,
            name: job.name.clone(),
            variant: job.variant.clone(),
            content: job.content.id.clone(),
            number: job.number,
            output: job.output.id.clone(),
            framing: job.framing,
            spec: job.spec.clone(),
            levels: job.levels.clone(),
            settings: json_of(&job.settings.listing(&job.home)),
        }
    }
}
