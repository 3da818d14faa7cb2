//! `[compute]`, `[network]`, `[watch]`, `[checkpoint]`, `[batch]` and `[budget]`: what all pictures
//! of a run share.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::reader::{Entry, SettingValue};
use crate::config::schema::Accepts;
use crate::config::table::settings;
use crate::config::text::{quote, shorten};
use crate::config::tree::Value;
use crate::config::values::{OrAuto, texts};
use crate::network::Precision;

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

/// At least one device.
impl SettingValue for Vec<DeviceName> {
    fn describe(_: Accepts) -> String {
        "an array such as `[\"cpu\"]` or `[\"cuda:0\", \"cuda:1\"]`".to_owned()
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        let mut names = Vec::new();
        for (word, origin) in texts(entry)? {
            match DeviceName::parse(&word) {
                Some(name) => names.push(name),
                None => {
                    let message = format!("`{}` is no device", shorten(&word));
                    entry.reject_at(&origin, message, "not a device");
                }
            }
        }
        Some(names)
    }

    fn toml(&self, _: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        let names: Vec<_> = self.iter().map(|name| quote(&name.to_string())).collect();
        Some(format!("[{}]", names.join(", ")))
    }
}

settings! {
    /// `[compute]`: what computes.
    Compute = "compute" {
        /// What computes, one tile at a time for each name. A name given twice computes two tiles at
        /// once. `auto` is every GPU that answers, in a build with CUDA, else the CPU, see
        /// docs/gpu.md. GPUs and the CPU cannot be mixed.
        devices: OrAuto<Vec<DeviceName>> = OrAuto::Auto, Nothing;
        /// CPU threads; 0 is all cores.
        threads: usize = 0, Nothing, Whole(0, 4096);
        /// Memory that a run may take, in GiB; 0 is four fifths of what the machine has free. A
        /// GPU's memory does not count here. What is chosen from it: docs/planning.md.
        memory_gib: f64 = 0.0, Nothing, Number(0.0, 65_536.0);
        /// Precision of the network. `bfloat16` is a fast mode for GPUs and for processors that
        /// have its products (AVX512-BF16), two to three digits exact, see docs/speed.md. `tf32` is
        /// for GPUs alone, see docs/gpu.md.
        precision: Precision = Precision::Float32, Pixels;
    }
}

impl Compute {
    /// Tiles that the CPU computes at once: one for each name in `devices`.
    pub fn workers(&self) -> usize {
        match &self.devices {
            OrAuto::Auto => 1,
            OrAuto::Value(names) => names.len().max(1),
        }
    }
}

settings! {
    /// `[network]`: the weights.
    Network = "network" {
        /// Weights of VGG19 to use instead of those in the program.
        weights: Option<PathBuf> = None => "built in", Input, File("a safetensors file");
    }
}

settings! {
    /// `[watch]`: what is reported while pictures are computed.
    Watch = "watch" {
        /// Log the losses after this many evaluations, and in blocks and feathered mode after each
        /// round; 0 is never.
        print_every: u32 = 0, Nothing, Whole(0, 4_294_967_295);
        /// Save the picture so far after this many evaluations of exact mode; 0 is never.
        save_every: u32 = 0, Nothing, Whole(0, 4_294_967_295);
    }
}

settings! {
    /// `[checkpoint]`: how often work is made durable.
    Checkpoint = "checkpoint" {
        /// The most work, in seconds, that an interruption of exact mode can cost; 0 saves after
        /// every evaluation. In blocks and feathered mode it costs the tiles in work. See
        /// docs/runs.md.
        every_seconds: u32 = 60, Nothing, Whole(0, 86_400);
    }
}

settings! {
    /// `[batch]`: how a collection is worked through.
    Batch = "batch" {
        /// Further attempts after a picture fails, if another attempt may help. They come after all
        /// other pictures.
        retries: u32 = 1, Nothing, Whole(0, 100);
        /// Pictures that are computed at once, each with its part of the threads and with memory of
        /// its own. `auto` is one; if all are 512x512 px or smaller, it is as many as there are
        /// threads and memory for.
        parallel_jobs: OrAuto<u32> = OrAuto::Auto, Nothing, Whole(1, 64);
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

/// A string, or a time as TOML writes it without quotes.
impl SettingValue for TimeOfDay {
    fn describe(_: Accepts) -> String {
        "a time of day such as `\"07:00\"`".to_owned()
    }

    fn read(entry: &mut Entry<'_, '_>) -> Option<Self> {
        let text = match &entry.node().value {
            Value::Time(time) => time.as_str(),
            _ => entry.text()?,
        };
        let time = TimeOfDay::parse(text);
        if time.is_none() {
            entry.reject(format!("`{}` is no time of day", shorten(text)), "not a time");
        }
        time
    }

    fn toml(&self, _: &dyn Fn(&Path) -> PathBuf) -> Option<String> {
        Some(quote(&self.to_string()))
    }
}

settings! {
    /// `[budget]`: when a run stops by itself; with both keys, whichever comes first.
    Budget = "budget" {
        /// Stop when the machine's clock shows this next, with exit code 130.
        until: Option<TimeOfDay> = None => "none", Nothing;
        /// Stop after this many hours, with exit code 130.
        hours: Option<f64> = None => "none", Nothing, Above(0.0, 8760.0);
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
