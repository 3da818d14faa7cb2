//! How fast a machine computes.

use serde::Serialize;

/// How fast a machine computes, in seconds for a megapixel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Speed {
    /// The loss and its gradient: one sweep forward and one back.
    pub evaluation: f64,
    /// A sweep forward with its statistics.
    pub forward: f64,
    /// Reading one vector of the optimiser, three float32 a pixel.
    pub vector: f64,
}

impl Speed {
    /// A sweep back.
    pub(super) fn backward(&self) -> f64 {
        (self.evaluation - self.forward).max(0.0)
    }
}
