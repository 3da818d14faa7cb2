//! Where the time goes: seconds per layer and stage.

use std::collections::BTreeMap;
use std::fmt;

use crate::network::layer::Layer;

/// Part of an evaluation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// The convolution to this layer with ReLU and pooling.
    Forward,
    /// Gram matrix and channel sums of this layer.
    Moments,
    /// The convolution from this layer back, with what is added there.
    Backward,
}

/// Wall-clock seconds, summed over calls.
#[derive(Clone, Default, Debug)]
pub struct Profile {
    seconds: BTreeMap<(Layer, Stage), f64>,
}

impl Profile {
    /// Adds some time.
    pub fn add(&mut self, layer: Layer, stage: Stage, seconds: f64) {
        *self.seconds.entry((layer, stage)).or_default() += seconds;
    }

    /// All entries, by layer and stage.
    pub fn iter(&self) -> impl Iterator<Item = (Layer, Stage, f64)> + '_ {
        self.seconds.iter().map(|(&(layer, stage), &seconds)| (layer, stage, seconds))
    }

    /// All seconds of a stage.
    pub fn total(&self, stage: Stage) -> f64 {
        self.iter().filter(|e| e.1 == stage).map(|e| e.2).sum()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{:<8} {:>9} {:>9} {:>9}", "layer", "forward", "moments", "backward")?;
        for layer in Layer::ALL {
            let at = |stage| self.seconds.get(&(layer, stage)).copied();
            let cells = [Stage::Forward, Stage::Moments, Stage::Backward].map(at);
            if cells.iter().all(Option::is_none) {
                continue;
            }
            write!(f, "{layer:<8}")?;
            for cell in cells {
                match cell {
                    Some(seconds) => write!(f, " {:>9.2}", seconds * 1e3)?,
                    None => write!(f, " {:>9}", "")?,
                }
            }
            writeln!(f)?;
        }
        let totals =
            [Stage::Forward, Stage::Moments, Stage::Backward].map(|stage| self.total(stage) * 1e3);
        writeln!(
            f,
            "{:<8} {:>9.2} {:>9.2} {:>9.2}  (milliseconds)",
            "all", totals[0], totals[1], totals[2]
        )
    }
}
