//! `[budget]`: the moment at which a run stops for the night.

use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Days, Local, LocalResult, TimeDelta, TimeZone};

use crate::config::{Budget, TimeOfDay};
use crate::event::CancellationToken;

/// The longest budget in hours that is a moment at all: some clocks end soon after.
const LONGEST_HOURS: f64 = 8760.0;

/// The request to stop, which also counts as made when the budget of a run that starts now is used
/// up: `hours` of the time that the machine is awake, `until` by its clock, whatever it did
/// meanwhile.
pub fn limited(token: &CancellationToken, budget: &Budget) -> CancellationToken {
    let mut token = token.clone();
    if let Some(hours) = budget.hours {
        let length = Duration::from_secs_f64(3600.0 * hours.clamp(0.0, LONGEST_HOURS));
        token = token.with_deadline(Instant::now() + length);
    }
    if let Some(time) = budget.until {
        let length = until(&Local::now(), time).to_std().unwrap_or_default();
        token = token.with_clock_deadline(SystemTime::now() + length);
    }
    token
}

/// How long it is from `now` to the next time that the clock shows `time`.
fn until<Z: TimeZone>(now: &DateTime<Z>, time: TimeOfDay) -> TimeDelta {
    let today = now.date_naive();
    (0..3)
        .filter_map(|days| {
            let wanted = today.checked_add_days(Days::new(days))?.and_hms_opt(
                time.hour.into(),
                time.minute.into(),
                0,
            )?;
            match now.timezone().from_local_datetime(&wanted) {
                LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => {
                    Some(moment - now.clone())
                }
                // In the hour that a clock leaps over, it shows the time after the leap.
                LocalResult::None => {
                    let later = wanted.checked_add_signed(TimeDelta::hours(1))?;
                    now.timezone()
                        .from_local_datetime(&later)
                        .earliest()
                        .map(|moment| moment - now.clone())
                }
            }
        })
        .find(|wait| *wait > TimeDelta::zero())
        .unwrap_or_else(|| TimeDelta::hours(24))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;

    #[test]
    fn the_clock_shows_it_today_or_tomorrow() {
        let zone = FixedOffset::east_opt(2 * 3600).unwrap();
        let at = |hour, minute| zone.with_ymd_and_hms(2026, 12, 31, hour, minute, 0).unwrap();
        let seven = TimeOfDay { hour: 7, minute: 0 };
        assert_eq!(until(&at(6, 30), seven), TimeDelta::minutes(30));
        assert_eq!(until(&at(22, 0), seven), TimeDelta::hours(9));
        assert_eq!(
            until(&at(7, 0), seven),
            TimeDelta::hours(24),
            "a run that starts at seven has the whole day"
        );
    }
}
