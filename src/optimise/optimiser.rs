//! The optimiser of a canvas: one of the methods.

use candle_core::{Device, Result, Tensor};

use super::adam::Adam;
use super::lbfgs::Lbfgs;
use super::state::{Scalars, State};
use super::step::Step;

/// The optimiser of a level.
pub enum Optimiser {
    /// L-BFGS.
    Lbfgs(Lbfgs),
    /// Adam.
    Adam(Adam),
}

impl Optimiser {
    /// The same optimiser whose first step moves values by `mean` of the canvas's range 0..1 on
    /// average. Adam's steps are as long as its learning rate from the first on.
    pub fn with_first_move(self, mean: f64) -> Self {
        match self {
            Optimiser::Lbfgs(lbfgs) => Optimiser::Lbfgs(lbfgs.with_first_move(mean)),
            Optimiser::Adam(_) => self,
        }
    }

    /// The point of the next evaluation.
    pub fn next_point(&self) -> &Tensor {
        match self {
            Optimiser::Lbfgs(lbfgs) => lbfgs.next_point(),
            Optimiser::Adam(adam) => adam.next_point(),
        }
    }

    /// The best point evaluated so far; the start before the first evaluation.
    pub fn best_point(&self) -> &Tensor {
        match self {
            Optimiser::Lbfgs(lbfgs) => lbfgs.best_point(),
            Optimiser::Adam(adam) => adam.best_point(),
        }
    }

    /// Takes the loss and its gradient at [`Optimiser::next_point`], a tensor of the canvas's shape,
    /// and moves on.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn advance(&mut self, loss: f64, gradient: Tensor) -> Result<Step> {
        match self {
            Optimiser::Lbfgs(lbfgs) => lbfgs.advance(loss, gradient),
            Optimiser::Adam(adam) => adam.advance(loss, &gradient),
        }
    }

    /// The whole state at this moment. No vector is copied.
    pub fn state(&self) -> State {
        match self {
            Optimiser::Lbfgs(lbfgs) => lbfgs.state(),
            Optimiser::Adam(adam) => adam.state(),
        }
    }

    /// The same optimiser with its vectors on another device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_device(self, device: &Device) -> Result<Self> {
        let State { scalars, vectors } = self.state();
        let vectors =
            vectors.iter().map(|vector| vector.to_device(device)).collect::<Result<_>>()?;
        Ok(Self::restore(State { scalars, vectors }).unwrap_or(self))
    }

    /// The optimiser that was in this state; nothing when scalars and vectors do not belong
    /// together.
    pub fn restore(state: State) -> Option<Self> {
        match state.scalars {
            Scalars::Lbfgs { .. } => Lbfgs::restore(state).map(Optimiser::Lbfgs),
            Scalars::Adam { .. } => Adam::restore(state).map(Optimiser::Adam),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::step::Outcome;
    use super::*;
    use candle_core::Device;

    /// Rosenbrock's function in many dimensions, `sum 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2`, and
    /// its gradient.
    fn rosenbrock(x: &Tensor) -> Result<(f64, Tensor)> {
        let v: Vec<f64> = x.to_vec1::<f32>()?.into_iter().map(f64::from).collect();
        let mut gradient = vec![0f64; v.len()];
        let mut loss = 0.0;
        for i in 0..v.len() - 1 {
            let (a, b) = (v[i + 1] - v[i] * v[i], 1.0 - v[i]);
            loss += 100.0 * a * a + b * b;
            gradient[i] += -400.0 * a * v[i] - 2.0 * b;
            gradient[i + 1] += 200.0 * a;
        }
        let gradient: Vec<f32> = gradient.into_iter().map(|g| g as f32).collect();
        Ok((loss, Tensor::from_vec(gradient, v.len(), &Device::Cpu)?))
    }

    /// On the side of the only minimum that is 0; with many dimensions there is another, of 3.99,
    /// about (-1, 1, 1, ...).
    fn start(n: usize) -> Tensor {
        Tensor::from_vec(
            (0..n).map(|i| if i % 2 == 0 { 0.2f32 } else { 0.5 }).collect(),
            n,
            &Device::Cpu,
        )
        .unwrap()
    }

    /// One evaluation of `objective` and the step after it.
    fn step(
        optimiser: &mut Optimiser,
        mut objective: impl FnMut(&Tensor) -> Result<(f64, Tensor)>,
    ) -> Step {
        let (loss, gradient) = objective(optimiser.next_point()).unwrap();
        optimiser.advance(loss, gradient).unwrap()
    }

    fn best_loss(optimiser: &Optimiser) -> f64 {
        rosenbrock(optimiser.best_point()).unwrap().0
    }

    #[test]
    fn lbfgs_solves_rosenbrock() {
        let mut optimiser = Optimiser::Lbfgs(Lbfgs::new(start(10), 20));
        for _ in 0..200 {
            step(&mut optimiser, rosenbrock);
        }
        assert!(best_loss(&optimiser) < 1e-6, "loss {}", best_loss(&optimiser));
    }

    #[test]
    fn a_short_history_still_descends() {
        let mut optimiser = Optimiser::Lbfgs(Lbfgs::new(start(10), 2));
        let before = rosenbrock(&start(10)).unwrap().0;
        for _ in 0..200 {
            step(&mut optimiser, rosenbrock);
        }
        assert!(best_loss(&optimiser) < 1e-2 * before, "loss {}", best_loss(&optimiser));
    }

    #[test]
    fn the_learning_rate_is_a_factor_on_every_step() {
        // On a quadratic whose pairs are exact the second step of L-BFGS is Newton's, and so its
        // scaled version is too.
        let bowl = |x: &Tensor| -> Result<(f64, Tensor)> {
            Ok((0.5 * f64::from(x.sqr()?.sum_all()?.to_scalar::<f32>()?), x.clone()))
        };
        let second = |rate: f64| {
            let mut lbfgs = Lbfgs::new((start(6) * 0.02).unwrap(), 10).with_learning_rate(rate);
            let mut points = vec![];
            for _ in 0..2 {
                let x = lbfgs.next_point().clone();
                let (loss, gradient) = bowl(&x).unwrap();
                lbfgs.advance(loss, gradient).unwrap();
                points.push((
                    (lbfgs.next_point() - &x).unwrap().to_vec1::<f32>().unwrap(),
                    x.to_vec1::<f32>().unwrap(),
                ));
            }
            points
        };
        let (whole, half) = (second(1.0), second(0.5));
        for i in 0..6 {
            assert!((half[0].0[i] - 0.5 * whole[0].0[i]).abs() < 1e-6, "the first step");
            assert!(
                (whole[1].0[i] + whole[1].1[i]).abs() < 1e-5,
                "Newton's step goes to the bottom"
            );
            assert!((half[1].0[i] + 0.5 * half[1].1[i]).abs() < 1e-5, "half of Newton's step");
        }
    }

    /// A quartic valley that is flat where it begins: the first pairs promise far too much.
    #[test]
    fn lbfgs_does_not_run_away_where_the_curvature_grows() {
        let quartic = |x: &Tensor| -> Result<(f64, Tensor)> {
            let v: Vec<f64> = x.to_vec1::<f32>()?.into_iter().map(f64::from).collect();
            let loss = v.iter().map(|x| (x * x - 1.0).powi(2)).sum::<f64>();
            let gradient = v.iter().map(|x| (4.0 * x * (x * x - 1.0)) as f32).collect();
            Ok((loss, Tensor::from_vec::<_, f32>(gradient, v.len(), &Device::Cpu)?))
        };
        // sqrt(1/3) is the point of inflection, where the second derivative vanishes.
        let flat =
            Tensor::from_vec((0..8).map(|i| 0.55f32 + 0.005 * i as f32).collect(), 8, &Device::Cpu)
                .unwrap();
        let mut optimiser = Optimiser::Lbfgs(Lbfgs::new(flat, 10));
        let mut worst = 0f64;
        for _ in 0..60 {
            let step = step(&mut optimiser, quartic);
            assert_ne!(step.outcome, Outcome::Rejected);
            worst = worst.max(step.loss);
        }
        assert!(worst < 8.0, "it went as far as {worst}");
        assert!(quartic(optimiser.best_point()).unwrap().0 < 1e-6);
    }

    /// Taken apart and put together after every evaluation, an optimiser makes the very steps of
    /// one that never was.
    #[test]
    fn a_state_comes_back_to_the_last_bit() {
        let starts: [fn() -> Optimiser; 3] = [
            || Optimiser::Lbfgs(Lbfgs::new(start(10), 4)),
            || {
                Optimiser::Lbfgs(
                    Lbfgs::new(start(10), 4).with_learning_rate(0.7).with_first_move(0.001),
                )
            },
            || Optimiser::Adam(Adam::new(start(10), 0.05)),
        ];
        for new in starts {
            let (mut whole, mut parts) = (new(), new());
            for count in 0..60 {
                // Some evaluations are bad, so that rejected steps are taken apart as well.
                let bad = |x: &Tensor| -> Result<_> {
                    let (loss, gradient) = rosenbrock(x)?;
                    Ok(if count % 17 == 13 { (f64::NAN, gradient) } else { (loss, gradient) })
                };
                step(&mut whole, bad);
                step(&mut parts, bad);
                let State { scalars, vectors } = parts.state();
                let text = serde_json::to_string(&scalars).unwrap();
                parts = Optimiser::restore(State {
                    scalars: serde_json::from_str(&text).unwrap(),
                    vectors,
                })
                .unwrap();
                let bits = |x: &Tensor| {
                    x.to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>()
                };
                assert_eq!(
                    bits(whole.next_point()),
                    bits(parts.next_point()),
                    "evaluation {count}"
                );
                assert_eq!(
                    bits(whole.best_point()),
                    bits(parts.best_point()),
                    "evaluation {count}"
                );
            }
        }
    }

    #[test]
    fn a_state_whose_parts_do_not_fit_is_refused() {
        let mut optimiser = Optimiser::Lbfgs(Lbfgs::new(start(4), 5));
        for _ in 0..5 {
            step(&mut optimiser, rosenbrock);
        }
        let State { scalars, mut vectors } = optimiser.state();
        vectors.pop();
        assert!(
            Optimiser::restore(State { scalars: scalars.clone(), vectors: vectors.clone() })
                .is_none()
        );
        vectors.extend([start(4), start(4)]);
        assert!(Optimiser::restore(State { scalars, vectors }).is_none());
    }

    #[test]
    fn adam_descends() {
        let mut optimiser = Optimiser::Adam(Adam::new(start(10), 0.02));
        for _ in 0..3000 {
            step(&mut optimiser, rosenbrock);
        }
        assert!(best_loss(&optimiser) < 1.0, "loss {}", best_loss(&optimiser));
    }

    /// Injects a bad value at some evaluations: the optimiser must say so, go back and still
    /// arrive.
    fn survives(mut optimiser: Optimiser, bad: f64, evaluations: usize, goal: f64) {
        let mut count = 0;
        for _ in 0..evaluations {
            let step = step(&mut optimiser, |x: &Tensor| -> Result<_> {
                count += 1;
                let (loss, gradient) = rosenbrock(x)?;
                Ok(if count % 37 == 20 { (bad, gradient) } else { (loss, gradient) })
            });
            if count % 37 == 20 {
                assert_eq!(step.outcome, Outcome::Rejected, "evaluation {count}");
            }
        }
        assert!(best_loss(&optimiser) < goal, "loss {}", best_loss(&optimiser));
    }

    #[test]
    fn bad_steps_are_survived() {
        for bad in [f64::NAN, f64::INFINITY, 1e30] {
            survives(Optimiser::Lbfgs(Lbfgs::new(start(10), 20)), bad, 400, 1e-2);
        }
        survives(Optimiser::Adam(Adam::new(start(10), 0.05)), f64::NAN, 3000, 50.0);
    }

    #[test]
    fn a_gradient_that_is_not_finite_is_rejected() {
        let mut optimiser = Optimiser::Lbfgs(Lbfgs::new(start(4), 5));
        step(&mut optimiser, rosenbrock);
        let step = step(&mut optimiser, |x: &Tensor| -> Result<_> { Ok((1.0, (x * f64::NAN)?)) });
        assert_eq!(step.outcome, Outcome::Rejected);
        assert!(optimiser.next_point().to_vec1::<f32>().unwrap().iter().all(|v| v.is_finite()));
    }

    #[test]
    fn a_start_without_a_finite_loss_is_hopeless() {
        for mut optimiser in
            [Optimiser::Lbfgs(Lbfgs::new(start(4), 5)), Optimiser::Adam(Adam::new(start(4), 0.1))]
        {
            let step =
                step(&mut optimiser, |x: &Tensor| -> Result<_> { Ok((f64::NAN, x.clone())) });
            assert_eq!(step.outcome, Outcome::Hopeless);
        }
    }
}
