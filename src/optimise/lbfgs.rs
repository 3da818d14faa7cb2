//! Limited-memory BFGS without a line search (Nocedal and Wright, *Numerical Optimization*,
//! algorithm 7.4).
//!
//! The two loops run on coefficients instead of vectors: the direction is a combination of the
//! pairs and the gradient, and all the loops need are the dot products between those (Chen, Wang
//! and Zhou, *Large-scale L-BFGS using MapReduce*, 2014). A step so reads the history twice, once
//! for the new products and once for the sum, where the textbook reads it five times; at 100 pairs
//! this is what keeps the optimiser cheap beside the network.

use std::collections::VecDeque;

use candle_core::{Result, Tensor};

use super::state::{ExactF64, Scalars, State, square};
use super::step::{Outcome, Step};
use super::vector::{combine, dots, mean_magnitude, scale};

/// Mean movement of a value in the very first step, as a part of the canvas's range 0..1.
const FIRST_MOVE: f64 = 0.005;
/// Mean movement of a value in any later step. The loss is quartic in the features, and where the
/// first pairs happen to see little curvature a step without a line search would leave the
/// picture's range altogether.
const LONGEST_MOVE: f64 = 0.03;
/// A loss this many times the best one counts as an explosion.
const EXPLOSION: f64 = 10.0;
/// A pair is kept when `s.y` exceeds this part of `|y|^2` times the step's natural scale.
const CURVATURE: f64 = 1e-10;

/// One curvature pair: how the canvas moved and how the gradient changed.
struct Pair {
    s: Tensor,
    y: Tensor,
}

/// The best point evaluated.
#[derive(Clone)]
struct BestPoint {
    x: Tensor,
    loss: f64,
    gradient: Tensor,
}

/// The optimiser's state. Vectors in memory: two for each pair, and up to six more (the point, the
/// last gradient, the last step, the best point and its gradient when they are not the last, and
/// the one being made).
pub struct Lbfgs {
    history: usize,
    pairs: VecDeque<Pair>,
    /// `sy[i][j] = s_i . y_j` over the kept pairs.
    sy: VecDeque<VecDeque<f64>>,
    /// `yy[i][j] = y_i . y_j`.
    yy: VecDeque<VecDeque<f64>>,
    x: Tensor,
    last: Option<(Tensor, Tensor)>,
    best: Option<BestPoint>,
    first_move: f64,
    rate: f64,
}

impl Lbfgs {
    /// Starts at `x` and keeps at most `history` pairs.
    pub fn new(x: Tensor, history: usize) -> Self {
        Self {
            history: history.max(1),
            pairs: VecDeque::new(),
            sy: VecDeque::new(),
            yy: VecDeque::new(),
            x,
            last: None,
            best: None,
            first_move: FIRST_MOVE,
            rate: 1.0,
        }
    }

    /// The same optimiser with every step multiplied by `rate`, 1 by default. Below 1 it is more
    /// careful and slower.
    pub fn with_learning_rate(self, rate: f64) -> Self {
        Self { rate, ..self }
    }

    /// The same optimiser whose first step moves values by `mean` of the canvas's range 0..1 on
    /// average, 0.005 by default.
    pub fn with_first_move(self, mean: f64) -> Self {
        Self { first_move: mean, ..self }
    }

    /// The point of the next evaluation.
    pub fn next_point(&self) -> &Tensor {
        &self.x
    }

    /// The best point evaluated so far; the start before the first evaluation.
    pub fn best_point(&self) -> &Tensor {
        self.best.as_ref().map_or(&self.x, |best| &best.x)
    }

    pub(super) fn state(&self) -> State {
        let table = |table: &VecDeque<VecDeque<f64>>| {
            table.iter().map(|row| row.iter().copied().map(ExactF64).collect()).collect()
        };
        let mut vectors = vec![self.x.clone()];
        vectors.extend(self.last.iter().flat_map(|(s, gradient)| [s.clone(), gradient.clone()]));
        vectors.extend(self.best.iter().flat_map(|best| [best.x.clone(), best.gradient.clone()]));
        vectors.extend(self.pairs.iter().flat_map(|pair| [pair.s.clone(), pair.y.clone()]));
        let scalars = Scalars::Lbfgs {
            history: self.history,
            sy: table(&self.sy),
            yy: table(&self.yy),
            last: self.last.is_some(),
            best: self.best.as_ref().map(|best| ExactF64(best.loss)),
            first_move: ExactF64(self.first_move),
            rate: ExactF64(self.rate),
        };
        State { scalars, vectors }
    }

    pub(super) fn restore(state: State) -> Option<Self> {
        let Scalars::Lbfgs { history, sy, yy, last, best, first_move, rate } = state.scalars else {
            return None;
        };
        let mut vectors = state.vectors.into_iter();
        let mut next = || vectors.next();
        let x = next()?;
        let last = if last { Some((next()?, next()?)) } else { None };
        let best = match best {
            Some(ExactF64(loss)) => Some(BestPoint { x: next()?, gradient: next()?, loss }),
            None => None,
        };
        let (sy, yy) = (square(sy, yy.len())?, square(yy.clone(), yy.len())?);
        let pairs = (0..sy.len())
            .map(|_| Some(Pair { s: next()?, y: next()? }))
            .collect::<Option<VecDeque<Pair>>>()?;
        let complete = next().is_none() && pairs.len() <= history && history > 0;
        complete.then_some(Self {
            history,
            pairs,
            sy,
            yy,
            x,
            last,
            best,
            first_move: first_move.0,
            rate: rate.0,
        })
    }

    /// Takes the loss and gradient at [`Lbfgs::next_point`] and moves on.
    ///
    /// A loss or gradient that is not finite, or a loss far above the best, rejects the step: the
    /// pairs are dropped and the next step starts from the best point, shorter than the first one
    /// was.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn advance(&mut self, loss: f64, gradient: Tensor) -> Result<Step> {
        let magnitude = mean_magnitude(&gradient)?;
        let exploded = self
            .best
            .as_ref()
            .is_some_and(|best| loss > EXPLOSION * best.loss.abs().max(f64::MIN_POSITIVE));
        if !loss.is_finite() || !magnitude.is_finite() || exploded {
            return self.reject(loss);
        }
        let products = match self.last.take() {
            Some((s, last_gradient)) => {
                self.remember(s, combine(&gradient, &[(-1.0, &last_gradient)])?, &gradient)?
            }
            None => Default::default(),
        };
        if self.best.as_ref().is_none_or(|best| loss <= best.loss) {
            self.best = Some(BestPoint { x: self.x.clone(), loss, gradient: gradient.clone() });
            // A start that a rejection has shortened recovers while things go well.
            self.first_move = (2.0 * self.first_move).min(FIRST_MOVE);
        }
        if magnitude == 0.0 {
            // A stationary point: there is nowhere to go from here.
            self.last = None;
            return Ok(Step { loss, outcome: Outcome::Stationary });
        }
        let step = if self.pairs.is_empty() {
            scale(&gradient, -self.rate * self.first_move / magnitude)?
        } else {
            let step = self.direction(&gradient, &products.0, &products.1)?;
            let (length, longest) = (mean_magnitude(&step)?, self.rate * LONGEST_MOVE);
            if length > longest { scale(&step, longest / length)? } else { step }
        };
        self.x = combine(&self.x, &[(1.0, &step)])?;
        self.last = Some((step, gradient));
        Ok(Step { loss, outcome: Outcome::Accepted })
    }

    fn reject(&mut self, loss: f64) -> Result<Step> {
        self.forget();
        let Some(best) = self.best.clone() else {
            return Ok(Step { loss, outcome: Outcome::Hopeless });
        };
        self.first_move *= 0.25;
        let magnitude = mean_magnitude(&best.gradient)?;
        let step =
            scale(&best.gradient, -self.rate * self.first_move / magnitude.max(f64::MIN_POSITIVE))?;
        self.x = combine(&best.x, &[(1.0, &step)])?;
        self.last = Some((step, best.gradient));
        Ok(Step { loss, outcome: Outcome::Rejected })
    }

    fn forget(&mut self) {
        self.pairs.clear();
        self.sy.clear();
        self.yy.clear();
        self.last = None;
    }

    /// Adds a pair when its curvature is positive, drops the oldest beyond the history, and returns
    /// the products of the gradient with every kept `s` and `y`. One pass over the history computes
    /// them all.
    fn remember(
        &mut self,
        s: Tensor,
        y: Tensor,
        gradient: &Tensor,
    ) -> Result<(Vec<f64>, Vec<f64>)> {
        let m = self.pairs.len();
        let mut vectors = self.vectors();
        vectors.extend([&s, &y]);
        let table = dots(&[&s, &y, gradient], &vectors)?;
        let (mut gs, mut gy) = (table[2][..m].to_vec(), table[2][m..2 * m].to_vec());
        let (ss, sy, yy) = (table[0][2 * m], table[0][2 * m + 1], table[1][2 * m + 1]);
        if sy <= CURVATURE * (ss * yy).sqrt() {
            return Ok((gs, gy));
        }
        for i in 0..m {
            self.sy[i].push_back(table[1][i]);
            self.yy[i].push_back(table[1][m + i]);
        }
        self.sy.push_back(table[0][m..2 * m].iter().copied().chain([sy]).collect());
        self.yy.push_back(table[1][m..2 * m].iter().copied().chain([yy]).collect());
        gs.push(table[2][2 * m]);
        gy.push(table[2][2 * m + 1]);
        self.pairs.push_back(Pair { s, y });
        if self.pairs.len() > self.history {
            self.pairs.pop_front();
            for table in [&mut self.sy, &mut self.yy] {
                table.pop_front();
                for row in table.iter_mut() {
                    row.pop_front();
                }
            }
            gs.remove(0);
            gy.remove(0);
        }
        Ok((gs, gy))
    }

    /// Every `s`, then every `y`.
    fn vectors(&self) -> Vec<&Tensor> {
        self.pairs.iter().map(|p| &p.s).chain(self.pairs.iter().map(|p| &p.y)).collect()
    }

    /// `-H g` times the learning rate, by the two loops on coefficients, from the products of the
    /// gradient with every `s` and `y`.
    fn direction(&self, gradient: &Tensor, gs: &[f64], gy: &[f64]) -> Result<Tensor> {
        let m = self.pairs.len();
        // q = cg g + sum of cy_j y_j, at first q = g.
        let mut cy = vec![0f64; m];
        let mut alpha = vec![0f64; m];
        for i in (0..m).rev() {
            let sq: f64 = gs[i] + (0..m).map(|j| cy[j] * self.sy[i][j]).sum::<f64>();
            alpha[i] = sq / self.sy[i][i];
            cy[i] -= alpha[i];
        }
        let gamma = self.sy[m - 1][m - 1] / self.yy[m - 1][m - 1];
        let cg = gamma;
        cy.iter_mut().for_each(|c| *c *= gamma);
        // r = cg g + sum of cy_j y_j + sum of cs_j s_j.
        let mut cs = vec![0f64; m];
        for i in 0..m {
            let yr: f64 = cg * gy[i]
                + (0..m).map(|j| cy[j] * self.yy[i][j] + cs[j] * self.sy[j][i]).sum::<f64>();
            cs[i] += alpha[i] - yr / self.sy[i][i];
        }
        let terms: Vec<(f64, &Tensor)> =
            cs.iter().chain(&cy).map(|c| -self.rate * c).zip(self.vectors()).collect();
        combine(&scale(gradient, -self.rate * cg)?, &terms)
    }
}
