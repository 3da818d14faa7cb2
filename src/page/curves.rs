//! The losses of a picture over its evaluations and seconds, gathered from events.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::event::{Event, Losses};

/// Points that are kept of a picture. When there are twice as many, every second one goes.
const POINTS: usize = 400;

/// The curves of all pictures, by job.
#[derive(Debug, Default)]
pub struct Curves(BTreeMap<usize, Curve>);

impl Curves {
    /// The curve of a job, if it has begun.
    pub fn of(&self, job: usize) -> Option<&Curve> {
        self.0.get(&job)
    }

    /// Takes an event into account.
    pub fn on_event(&mut self, event: &Event) {
        let Some(job) = event.job() else { return };
        let curve = self.0.entry(job).or_default();
        match event {
            Event::JobStarted { .. } => *curve = Curve::default(),
            Event::JobResumed { evaluation, evaluations, .. } => {
                curve.resume(*evaluations, evaluations.saturating_sub(*evaluation));
            }
            Event::LevelStarted { level, width, height, .. } => {
                curve.start_level(*level, *width, *height);
            }
            Event::Evaluated { evaluation, losses, seconds, .. } => {
                curve.in_level = *evaluation;
                curve.seconds += seconds;
                curve.add(losses);
            }
            Event::TileFinished { round, tile, tiles, evaluations, seconds, .. } => {
                let visits =
                    round.saturating_sub(1) as f64 + (*tile as f64 + 1.0) / (*tiles).max(1) as f64;
                curve.in_level = (visits * *evaluations as f64) as usize;
                curve.seconds += seconds;
            }
            Event::RoundFinished { losses, .. } => curve.add(losses),
            _ => {}
        }
    }
}

/// A level of the pyramid on the axes of a curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LevelMark {
    /// The level's number, from 0.
    pub level: usize,
    /// Evaluations of all levels below.
    pub evaluation: usize,
    /// Seconds of work before it.
    pub seconds: f32,
    /// Width of the picture, px.
    pub width: usize,
    /// Height of the picture, px.
    pub height: usize,
}

/// The losses of one picture, a column for each quantity.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Curve {
    /// Where its levels begin.
    pub levels: Vec<LevelMark>,
    /// Evaluations of all levels, this one included.
    pub evaluation: Vec<usize>,
    /// Seconds of work.
    pub time: Vec<f32>,
    /// The weighted content term.
    pub content: Vec<f32>,
    /// The weighted style term.
    pub style: Vec<f32>,
    /// The weighted variation term.
    pub variation: Vec<f32>,
    /// Their sum.
    pub total: Vec<f32>,
    /// Evaluations of the levels below the one in work.
    #[serde(skip)]
    before_level: usize,
    /// Evaluations of the level in work.
    #[serde(skip)]
    in_level: usize,
    /// Seconds of work so far.
    #[serde(skip)]
    seconds: f64,
}

impl Curve {
    /// Points of the curve.
    pub fn len(&self) -> usize {
        self.evaluation.len()
    }

    fn start_level(&mut self, level: usize, width: usize, height: usize) {
        if let Some(last) = self.levels.last()
            && last.level == level
        {
            return;
        }
        self.before_level += self.in_level;
        self.in_level = 0;
        let (evaluation, seconds) = (self.before_level, self.seconds as f32);
        self.levels.push(LevelMark { level, evaluation, seconds, width, height });
    }

    /// Goes back to where a checkpoint was made, `evaluations` in all levels, `before` of them in
    /// the levels below. The seconds that were lost were spent all the same.
    fn resume(&mut self, evaluations: usize, before: usize) {
        let keep = self.evaluation.partition_point(|at| *at <= evaluations);
        self.truncate(keep);
        self.levels.retain(|level| level.evaluation <= before);
        (self.before_level, self.in_level) = (before, evaluations - before);
    }

    fn add(&mut self, losses: &Losses) {
        let at = self.before_level + self.in_level;
        if self.evaluation.last() == Some(&at) {
            self.truncate(self.len() - 1);
        }
        self.evaluation.push(at);
        self.time.push(self.seconds as f32);
        self.content.push(losses.content as f32);
        self.style.push(losses.style as f32);
        self.variation.push(losses.variation as f32);
        self.total.push(losses.total as f32);
        if self.len() >= 2 * POINTS {
            self.halve();
        }
    }

    fn columns(&mut self) -> [&mut Vec<f32>; 5] {
        [&mut self.time, &mut self.content, &mut self.style, &mut self.variation, &mut self.total]
    }

    fn truncate(&mut self, keep: usize) {
        self.evaluation.truncate(keep);
        self.columns().into_iter().for_each(|column| column.truncate(keep));
    }

    /// Drops every second point; the first and the last stay.
    fn halve(&mut self) {
        let last = self.len() - 1;
        let stays = |at: usize| at.is_multiple_of(2) || at == last;
        let mut at = 0..;
        self.evaluation.retain(|_| at.next().is_some_and(stays));
        for column in self.columns() {
            let mut at = 0..;
            column.retain(|_| at.next().is_some_and(stays));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(level: usize) -> Event {
        Event::LevelStarted {
            job: 0,
            level,
            levels: 2,
            width: 64 << level,
            height: 48 << level,
            canvas_pixels: 0,
            evaluations: 10,
            tiles: 1,
        }
    }

    fn evaluated(level: usize, evaluation: usize, style: f64) -> Event {
        let losses = Losses::new(1.0, style, 0.0);
        Event::Evaluated { job: 0, level, evaluation, losses, seconds: 0.5 }
    }

    fn curve(events: &[Event]) -> Curve {
        let mut curves = Curves::default();
        let name = String::new();
        curves.on_event(&Event::JobStarted { job: 0, name, levels: 2, work: 1.0 });
        events.iter().for_each(|event| curves.on_event(event));
        curves.of(0).unwrap().clone()
    }

    #[test]
    fn evaluations_count_on_through_the_levels() {
        let curve = curve(&[
            level(0),
            evaluated(0, 1, 9.0),
            evaluated(0, 10, 8.0),
            level(1),
            evaluated(1, 3, 7.0),
        ]);
        assert_eq!(curve.evaluation, [1, 10, 13]);
        assert_eq!(curve.time, [0.5, 1.0, 1.5]);
        assert_eq!(curve.total, [10.0, 9.0, 8.0]);
        let marks: Vec<_> =
            curve.levels.iter().map(|l| (l.evaluation, l.seconds, l.width)).collect();
        assert_eq!(marks, [(0, 0.0, 64), (10, 1.0, 128)]);
    }

    #[test]
    fn a_resumed_picture_goes_back_to_its_checkpoint_and_its_levels_stay_where_they_are() {
        let resumed =
            Event::JobResumed { job: 0, level: 1, evaluation: 2, evaluations: 12, done: 0.0 };
        let curve = curve(&[
            level(0),
            evaluated(0, 10, 8.0),
            level(1),
            evaluated(1, 2, 7.0),
            evaluated(1, 5, 6.0),
            resumed,
            level(1),
            evaluated(1, 3, 6.5),
        ]);
        assert_eq!(curve.evaluation, [10, 12, 13]);
        assert_eq!(curve.levels.len(), 2);
        assert_eq!(curve.time.last(), Some(&2.0), "what was lost was spent");
    }

    #[test]
    fn a_long_night_keeps_few_points_and_both_ends() {
        let mut events = vec![level(0)];
        events.extend((1..=10_000).map(|at| evaluated(0, at, 1.0 / at as f64)));
        let curve = curve(&events);
        assert!((POINTS..2 * POINTS).contains(&curve.len()), "{}", curve.len());
        assert_eq!((curve.evaluation[0], curve.evaluation[curve.len() - 1]), (1, 10_000));
        assert!(curve.evaluation.is_sorted());
        assert_eq!(curve.time.len(), curve.len());
    }
}
