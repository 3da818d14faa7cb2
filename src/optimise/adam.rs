//! Adam (Kingma and Ba, arXiv:1412.6980) on the canvas.

use candle_core::{Result, Tensor};

use super::state::{ExactF64, Scalars, State};
use super::step::{Outcome, Step};
use super::vector::mean_magnitude;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// The optimiser's state: the point, both moments, and the best point when it is not the last.
pub struct Adam {
    learning_rate: f64,
    x: Tensor,
    first: Option<Tensor>,
    second: Option<Tensor>,
    steps: i32,
    best: Option<(Tensor, f64)>,
}

impl Adam {
    /// Starts at `x`; `learning_rate` is in units of the canvas's range 0..1 (0.02 moves a value by
    /// about 5 of 255).
    pub fn new(x: Tensor, learning_rate: f64) -> Self {
        Self { learning_rate, x, first: None, second: None, steps: 0, best: None }
    }

    /// The point of the next evaluation.
    pub fn next_point(&self) -> &Tensor {
        &self.x
    }

    /// The best point evaluated so far; the start before the first evaluation.
    pub fn best_point(&self) -> &Tensor {
        self.best.as_ref().map_or(&self.x, |(x, _)| x)
    }

    pub(super) fn state(&self) -> State {
        let vectors = [
            Some(&self.x),
            self.first.as_ref(),
            self.second.as_ref(),
            self.best.as_ref().map(|(x, _)| x),
        ];
        let scalars = Scalars::Adam {
            learning_rate: ExactF64(self.learning_rate),
            steps: self.steps,
            moments: self.first.is_some() && self.second.is_some(),
            best: self.best.as_ref().map(|(_, loss)| ExactF64(*loss)),
        };
        State { scalars, vectors: vectors.into_iter().flatten().cloned().collect() }
    }

    pub(super) fn restore(state: State) -> Option<Self> {
        let Scalars::Adam { learning_rate, steps, moments, best } = state.scalars else {
            return None;
        };
        let mut vectors = state.vectors.into_iter();
        let mut next = || vectors.next();
        let x = next()?;
        let (first, second) = if moments { (Some(next()?), Some(next()?)) } else { (None, None) };
        let best = match best {
            Some(ExactF64(loss)) => Some((next()?, loss)),
            None => None,
        };
        next().is_none().then_some(Self {
            learning_rate: learning_rate.0,
            x,
            first,
            second,
            steps,
            best,
        })
    }

    /// Takes the loss and gradient at [`Adam::next_point`] and moves on. A loss or gradient that is
    /// not finite drops the moments and goes back to the best point with half the learning rate.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn advance(&mut self, loss: f64, gradient: &Tensor) -> Result<Step> {
        if !loss.is_finite() || !mean_magnitude(gradient)?.is_finite() {
            let Some((x, _)) = &self.best else {
                return Ok(Step { loss, outcome: Outcome::Hopeless });
            };
            self.x = x.clone();
            (self.first, self.second, self.steps) = (None, None, 0);
            self.learning_rate *= 0.5;
            return Ok(Step { loss, outcome: Outcome::Rejected });
        }
        if self.best.as_ref().is_none_or(|(_, best)| loss <= *best) {
            self.best = Some((self.x.clone(), loss));
        }
        self.steps += 1;
        let blend = |old: &Option<Tensor>, new: &Tensor, beta: f64| -> Result<Tensor> {
            let new = (new * (1.0 - beta))?;
            old.as_ref().map_or(Ok(new.clone()), |old| (old * beta)? + new)
        };
        // The square is taken of the gradient over its mean magnitude's order, since raw gradients
        // of 1e8 overflow float32.
        let first = blend(&self.first, gradient, BETA1)?;
        let second = blend(&self.second, &(gradient * 1e-6)?.sqr()?, BETA2)?;
        let mean = (&first / (1.0 - BETA1.powi(self.steps)))?;
        let deviation = ((&second / (1.0 - BETA2.powi(self.steps)))?.sqrt()? * 1e6)?;
        let step = (mean / (deviation + EPSILON)?)?;
        self.x = (&self.x - (step * self.learning_rate)?)?;
        (self.first, self.second) = (Some(first), Some(second));
        Ok(Step { loss, outcome: Outcome::Accepted })
    }
}
