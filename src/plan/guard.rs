//! The guard band: how far the canvas reaches beyond the picture.
//!
//! The network pads with zeros at every layer, and the optimiser answers with a discoloured border.
//! The band takes that border and is cut off when the picture is written.

use super::levels::{Level, levels};
use super::spec::Schedule;

/// The most pixels of a level with its band, for each pixel without.
const MOST: f64 = 1.06;

/// The widest band, px on each side of a picture of `size` (width, height) px, with which no level
/// of the pyramid has more than 6 % more pixels. Small and narrow pictures have none.
pub(super) fn guard_band(size: (usize, usize), schedule: &Schedule) -> usize {
    let plain = levels(size, 0, schedule);
    let is_cheap = |guard: &usize| {
        let pixels = |level: &Level| (level.width * level.height) as f64;
        let guarded = levels(size, *guard, schedule);
        guarded.iter().zip(&plain).all(|(level, plain)| pixels(level) <= MOST * pixels(plain))
    };
    // A band on both sides of the short side alone: wider ones are never cheap enough.
    let widest = (size.0.min(size.1) as f64 * (MOST - 1.0) / 2.0) as usize;
    (0..=widest).rev().find(is_cheap).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(short_side: u32) -> Schedule {
        Schedule { short_side, evaluations: vec![10] }
    }

    #[test]
    fn the_band_grows_with_the_picture() {
        let band = |width, height| guard_band((width, height), &schedule(96));
        for (size, wanted) in [
            ((16, 16), 0),
            ((67, 67), 0),
            ((68, 68), 1),
            ((20_000, 20), 0),
            ((512, 341), 6),
            ((4096, 2731), 48),
            ((7200, 10_800), 123),
        ] {
            assert_eq!(band(size.0, size.1), wanted, "{size:?}");
        }
    }

    proptest! {
        #[test]
        fn no_level_has_six_percent_more_pixels(
            width in 1usize..20_000,
            height in 1usize..20_000,
            short in 64u32..1024,
        ) {
            let (size, schedule) = ((width, height), schedule(short));
            let guard = guard_band(size, &schedule);
            let (plain, guarded) = (levels(size, 0, &schedule), levels(size, guard, &schedule));
            prop_assert_eq!(plain.len(), guarded.len());
            for (plain, guarded) in plain.iter().zip(&guarded) {
                let (less, more) = (plain.width * plain.height, guarded.width * guarded.height);
                prop_assert!(100 * more <= 106 * less, "{plain:?}, {guarded:?}");
                prop_assert!(guarded.width >= plain.width && guarded.height >= plain.height);
            }
            // Less than a pixel of the first level below the widest that the bound allows.
            let (w, h) = (width as f64, height as f64);
            let root = ((w + h) * (w + h) + 4.0 * 0.06 * w * h).sqrt();
            let most = (root - w - h) / 4.0;
            let pixel = f64::from(1u32 << (plain.len() - 1)) / 2.0;
            prop_assert!(guard as f64 > most - pixel - 1.0, "{guard} of {most}");
        }
    }
}
