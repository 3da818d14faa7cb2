//! The two poolings.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the 2x2 poolings do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The largest of four, the first in raster order among equals, as the network was trained.
    Max,
    /// The mean of four, as Gatys et al. preferred for smoother pictures.
    Average,
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pooling::Max => "max",
            Pooling::Average => "average",
        })
    }
}
