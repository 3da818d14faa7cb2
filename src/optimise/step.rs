//! What an optimiser made of one evaluation.

/// What became of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The optimiser moved on from it.
    Accepted,
    /// It was not finite or had exploded: the optimiser went back to the best point.
    Rejected,
    /// The gradient is zero: nothing is left to do.
    Stationary,
    /// The very first point has no finite loss: there is no point to go back to.
    Hopeless,
}

/// One step of an optimiser.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The loss at the evaluated point.
    pub loss: f64,
    /// What became of it.
    pub outcome: Outcome,
}
