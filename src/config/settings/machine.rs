//! `[compute]`, `[watch]`, `[checkpoint]`, `[batch]` and `[budget]`: what the machine does, not
//! what the picture looks like.

use std::fmt;

use crate::config::choice::choice;
use crate::config::listing::Listing;
use crate::config::reader::{Reader, shorten};

/// One device by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceName {
    /// `cpu`: all cores through one pool.
    Cpu,
    /// `cuda:N`: the N-th NVIDIA GPU, counted from 0.
    Cuda(u32),
}

impl DeviceName {
    /// Reads `cpu` or `cuda:N`.
    pub fn parse(text: &str) -> Option<DeviceName> {
        match text.split_once(':') {
            None => (text == "cpu").then_some(DeviceName::Cpu),
            Some((kind, index)) => {
                let plain = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
                let index = index.parse().ok().filter(|_| plain && kind == "cuda")?;
                Some(DeviceName::Cuda(index))
            }
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceName::Cpu => f.write_str("cpu"),
            DeviceName::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// Which devices work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Devices {
    /// All GPUs if the program was built for them and they answer, else the CPU.
    #[default]
    Auto,
    /// These; at least one. A name given twice is two workers on one device.
    List(Vec<DeviceName>),
}

choice! {
    /// Arithmetic of the network's evaluations.
    Precision {
        /// 32-bit floats throughout.
        Float32 = "float32",
        /// 32-bit floats, products by the GPU's tensor cores with 10-bit mantissas; GPU only.
        Tf32 = "tf32",
        /// 16-bit brain floats in the network; GPU only.
        Bfloat16 = "bfloat16",
    }
}

/// `[compute]`: what computes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compute {
    /// `devices`: `"auto"` (default) or a list of names.
    pub devices: Devices,
    /// `threads`: CPU threads, 0 to 4096; 0 (default) is all cores.
    pub threads: usize,
    /// `memory-gib`: memory that may be used, in GiB, 0 to 65536; 0 (default) is what the machine
    /// has.
    pub memory_gib: f64,
    /// `precision`: of the network's arithmetic; default `float32`.
    pub precision: Precision,
}

impl Compute {
    /// Tiles that are computed at once: one for each name in `devices`.
    pub fn workers(&self) -> usize {
        match &self.devices {
            Devices::Auto => 1,
            Devices::List(names) => names.len().max(1),
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Compute {
        Compute {
            devices: read_devices(reader).unwrap_or_default(),
            threads: reader.integer("compute.threads").unwrap_or(0),
            memory_gib: reader.number("compute.memory-gib").unwrap_or(0.0),
            precision: reader.choice("compute.precision").unwrap_or_default(),
        }
    }

    pub(super) fn list(&self, list: &mut Listing) {
        match &self.devices {
            Devices::Auto => list.text("compute.devices", "auto"),
            Devices::List(names) => {
                list.texts("compute.devices", names.iter().map(DeviceName::to_string));
            }
        }
        list.value("compute.threads", self.threads);
        list.value("compute.memory-gib", self.memory_gib);
        list.text("compute.precision", self.precision);
    }
}

fn read_devices(reader: &mut Reader<'_>) -> Option<Devices> {
    const KEY: &str = "compute.devices";
    let words = reader.strings(KEY)?;
    if let [(word, _)] = words.as_slice()
        && word == "auto"
    {
        return Some(Devices::Auto);
    }
    let mut names = Vec::new();
    for (word, origin) in words {
        match DeviceName::parse(&word) {
            Some(name) => names.push(name),
            None => {
                let message = format!("`{}` is no device", shorten(&word));
                reader.bad(KEY, Some(origin), message, "not a device");
            }
        }
    }
    Some(Devices::List(names))
}

/// `[watch]`: what is told along the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watch {
    /// `print-every`: evaluations between two logged lines of losses; 0 (default): none.
    pub print_every: u32,
    /// `save-every`: evaluations between two intermediate pictures; 0 (default): none.
    pub save_every: u32,
}

impl Watch {
    pub(super) fn read(reader: &mut Reader<'_>) -> Watch {
        Watch {
            print_every: reader.integer("watch.print-every").unwrap_or(0),
            save_every: reader.integer("watch.save-every").unwrap_or(0),
        }
    }

    pub(super) fn list(&self, list: &mut Listing) {
        list.value("watch.print-every", self.print_every);
        list.value("watch.save-every", self.save_every);
    }
}

/// `[checkpoint]`: how often work is made durable.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// `every-seconds`: the longest time between two checkpoints, 0 to 86400; default 60; 0: after
    /// every evaluation.
    pub every_seconds: u32,
}

impl Checkpoint {
    pub(super) fn read(reader: &mut Reader<'_>) -> Checkpoint {
        Checkpoint { every_seconds: reader.integer("checkpoint.every-seconds").unwrap_or(60) }
    }

    pub(super) fn list(&self, list: &mut Listing) {
        list.value("checkpoint.every-seconds", self.every_seconds);
    }
}

/// How many jobs share the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParallelJobs {
    /// As the planner finds fastest.
    #[default]
    Auto,
    /// This many, 1 to 64.
    Count(u32),
}

/// `[batch]`: how a collection is worked through.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `retries`: attempts after a job's first failure, 0 to 100; default 1.
    pub retries: u32,
    /// `parallel-jobs`: jobs at once; default `"auto"`.
    pub parallel_jobs: ParallelJobs,
}

impl Batch {
    pub(super) fn read(reader: &mut Reader<'_>) -> Batch {
        const JOBS: &str = "batch.parallel-jobs";
        let parallel_jobs = if reader.is_auto(JOBS) {
            ParallelJobs::Auto
        } else {
            reader.integer(JOBS).map_or(ParallelJobs::Auto, ParallelJobs::Count)
        };
        Batch { retries: reader.integer("batch.retries").unwrap_or(1), parallel_jobs }
    }

    pub(super) fn list(&self, list: &mut Listing) {
        list.value("batch.retries", self.retries);
        match self.parallel_jobs {
            ParallelJobs::Auto => list.text("batch.parallel-jobs", "auto"),
            ParallelJobs::Count(count) => list.value("batch.parallel-jobs", count),
        }
    }
}

/// A time of day on the machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

impl TimeOfDay {
    /// Reads `7:00` or `07:00`; seconds, if given, must be `:00`.
    pub fn parse(text: &str) -> Option<TimeOfDay> {
        let digits = |part: &str, most: u8| {
            let plain = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            part.parse().ok().filter(|&number: &u8| plain && number <= most)
        };
        let mut parts = text.splitn(3, ':');
        let hour = digits(parts.next()?, 23)?;
        let minute = digits(parts.next().filter(|part| part.len() == 2)?, 59)?;
        parts.next().is_none_or(|seconds| seconds == "00").then_some(TimeOfDay { hour, minute })
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

/// `[budget]`: when to stop for the night; with both given, whichever comes first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Budget {
    /// `until`: the next time the clock shows this; `None` (default): no such time.
    pub until: Option<TimeOfDay>,
    /// `hours`: hours since the start, above 0 and at most 8760; `None` (default): no limit.
    pub hours: Option<f64>,
}

impl Budget {
    pub(super) fn read(reader: &mut Reader<'_>) -> Budget {
        const UNTIL: &str = "budget.until";
        let until = reader.text_or_time(UNTIL).and_then(|(text, origin)| {
            let time = TimeOfDay::parse(&text);
            if time.is_none() {
                reader.bad(
                    UNTIL,
                    Some(origin),
                    format!("`{}` is no time of day", shorten(&text)),
                    "not a time",
                );
            }
            time
        });
        Budget { until, hours: reader.number("budget.hours") }
    }

    pub(super) fn list(&self, list: &mut Listing) {
        if let Some(time) = self.until {
            list.text("budget.until", time);
        }
        list.optional("budget.hours", self.hours);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_cpu_or_a_numbered_gpu() {
        assert_eq!(DeviceName::parse("cpu"), Some(DeviceName::Cpu));
        assert_eq!(DeviceName::parse("cuda:12"), Some(DeviceName::Cuda(12)));
        for text in ["", "gpu", "cuda", "cuda:", "cuda:-1", "cuda:+1", "cpu:0", "cuda:99999999999"]
        {
            assert_eq!(DeviceName::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn times_are_hours_and_two_digits_of_minutes() {
        assert_eq!(TimeOfDay::parse("7:05"), Some(TimeOfDay { hour: 7, minute: 5 }));
        assert_eq!(TimeOfDay::parse("23:59:00"), Some(TimeOfDay { hour: 23, minute: 59 }));
        for text in ["", "7", "7:5", "24:00", "07:60", "+7:00", "07:00:30", "07:00am", "-1:00"] {
            assert_eq!(TimeOfDay::parse(text), None, "{text:?}");
        }
    }
}
