//! Every key of a pipeline file, what it accepts and what it affects: the one list from which
//! unknown keys, ranges, help texts and fingerprints are made.

use serde::{Deserialize, Serialize};

/// What a key's value changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The finished file, directly.
    Pixels,
    /// The finished file, through the bytes of a file that the value names: hash those, not the
    /// name.
    Input,
    /// Where the finished file lies.
    Destination,
    /// Speed, memory, messages or order; never the finished file.
    Nothing,
}

impl Effect {
    /// Whether another value makes another picture. Files that a value names count by their bytes,
    /// so their names do not.
    pub fn affects_pixels(self) -> bool {
        self == Effect::Pixels
    }
}

/// What a key accepts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Accepts {
    /// A finite number from the first to the second.
    Number(f64, f64),
    /// A finite number above the first and at most the second.
    Above(f64, f64),
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// One of the words of an enum, which the reader knows.
    Word,
    /// true or false.
    Boolean,
    /// As the text says; a range of whole numbers in it is checked.
    Other(&'static str, (u64, u64)),
}

/// One key.
pub(crate) struct Key {
    /// `table.key`.
    pub(crate) path: &'static str,
    pub(crate) accepts: Accepts,
    pub(crate) effect: Effect,
}

const fn key(path: &'static str, accepts: Accepts, effect: Effect) -> Key {
    Key { path, accepts, effect }
}

/// For texts without a whole number in them.
const NO_RANGE: (u64, u64) = (0, 0);
const WEIGHT: Accepts = Accepts::Number(0.0, f64::MAX);
const COUNT: Accepts = Accepts::Whole(0, u32::MAX as u64);
const PICTURE: Accepts =
    Accepts::Other("the path of a picture, relative to the file that says it", NO_RANGE);
const LAYERS: Accepts = Accepts::Other(
    "an array of layers such as [\"relu4_2\"] or a table such as { relu4_2 = 1.0 }; layers are relu1_1 to relu5_4",
    NO_RANGE,
);

use Accepts::{Above, Boolean, Number, Other, Whole, Word};
use Effect::{Destination, Input, Nothing, Pixels};

/// All keys, by table.
pub(crate) const KEYS: &[Key] = &[
    key(
        "input.content",
        Other("paths, folders or globs of pictures, such as [\"photos/*.jpg\"]", NO_RANGE),
        Input,
    ),
    key("style.image", PICTURE, Input),
    key("style.weight", Above(0.0, f64::MAX), Pixels),
    key("style.scale", Number(0.05, 20.0), Pixels),
    key(
        "output.directory",
        Other("the path of a folder, relative to the file that says it", NO_RANGE),
        Destination,
    ),
    key(
        "output.name",
        Other(
            "a file name ending in .png, .tiff, .tif, .jpg or .jpeg, with {content}, {extension}, {style}, {variant} and {index}",
            NO_RANGE,
        ),
        Destination,
    ),
    key("output.long-side-px", Whole(16, 200_000), Pixels),
    key("output.width-mm", Above(0.0, 10_000.0), Pixels),
    key("output.height-mm", Above(0.0, 10_000.0), Pixels),
    key(
        "output.size",
        Other("A0 to A6, or a size such as \"24x36in\", \"30x40cm\" or \"300x400mm\"", NO_RANGE),
        Pixels,
    ),
    key("output.scale", Number(0.01, 100.0), Pixels),
    key("output.dpi", Number(1.0, 10_000.0), Pixels),
    key("output.fit", Word, Pixels),
    key(
        "output.crop-focus",
        Other("two numbers from 0 to 1, such as [0.5, 0.5]", NO_RANGE),
        Pixels,
    ),
    key("output.bleed-mm", Number(0.0, 100.0), Pixels),
    key("output.overwrite", Boolean, Nothing),
    key("output.color", Word, Pixels),
    key("output.bit-depth", Other("8 or 16", (8, 16)), Pixels),
    key("output.compression", Word, Pixels),
    key("output.quality", Whole(1, 100), Pixels),
    key("output.dither", Boolean, Pixels),
    key("output.metadata", Word, Pixels),
    key("output.pyramid", Word, Pixels),
    key("output.preview", Boolean, Pixels),
    key("color.working-space", Word, Pixels),
    key(
        "color.output-profile",
        Other("\"srgb\", \"input\" or the path of an ICC profile", NO_RANGE),
        Pixels,
    ),
    key("color.intent", Word, Pixels),
    key("objective.preset", Word, Pixels),
    key("objective.content-weight", WEIGHT, Pixels),
    key("objective.style-weight", WEIGHT, Pixels),
    key("objective.statistics-weight", WEIGHT, Pixels),
    key("objective.variation-weight", WEIGHT, Pixels),
    key("objective.content-layers", LAYERS, Pixels),
    key("objective.style-layers", LAYERS, Pixels),
    key("objective.pooling", Word, Pixels),
    key("start.from", Word, Pixels),
    key("start.image", PICTURE, Input),
    key("start.noise-ratio", Number(0.0, 1.0), Pixels),
    key("start.seed", Whole(0, u64::MAX), Pixels),
    key("pyramid.short-side-px", Whole(64, 65_536), Pixels),
    key(
        "pyramid.evaluations",
        Other(
            "a whole number from 1 to 1000000, or an array with one for each level",
            (1, 1_000_000),
        ),
        Pixels,
    ),
    key("optimise.method", Word, Pixels),
    key("optimise.history", Whole(1, 1000), Pixels),
    key("optimise.learning-rate", Above(0.0, 1000.0), Pixels),
    key("tiling.mode", Word, Pixels),
    key(
        "tiling.core-px",
        Other("\"auto\" or a multiple of 16 from 16 to 65536", (16, 65_536)),
        Nothing,
    ),
    key("tiling.margins", Word, Pixels),
    key("tiling.rounds", Whole(1, 10_000), Pixels),
    key("tiling.visit", Whole(1, 100_000), Pixels),
    key("tiling.overlap-px", Whole(0, 4096), Pixels),
    key(
        "compute.devices",
        Other("\"auto\" or an array of \"cpu\", \"cuda:0\", \"cuda:1\" and so on", NO_RANGE),
        Nothing,
    ),
    key("compute.threads", Whole(0, 4096), Nothing),
    key("compute.memory-gib", Number(0.0, 65_536.0), Nothing),
    key("compute.precision", Word, Pixels),
    key(
        "network.weights",
        Other("the path of a safetensors file, relative to the file that says it", NO_RANGE),
        Input,
    ),
    key("watch.print-every", COUNT, Nothing),
    key("watch.save-every", COUNT, Nothing),
    key("checkpoint.every-seconds", Whole(0, 86_400), Nothing),
    key("batch.retries", Whole(0, 100), Nothing),
    key("batch.parallel-jobs", Other("\"auto\" or a whole number from 1 to 64", (1, 64)), Nothing),
    key("budget.until", Other("a time of day such as \"07:00\"", NO_RANGE), Nothing),
    key("budget.hours", Above(0.0, 8760.0), Nothing),
];

/// The key of this path.
///
/// # Panics
///
/// On paths that are not in [`KEYS`]: only this module's neighbours ask, with paths written in
/// them.
pub(crate) fn find(path: &str) -> &'static Key {
    let index = KEYS.iter().position(|key| key.path == path);
    &KEYS[index
        .expect("every path that the reader is asked for is in KEYS, as a test of all keys shows")]
}

/// The names of all tables, in the order of [`KEYS`].
pub(crate) fn tables() -> Vec<&'static str> {
    let mut names: Vec<_> =
        KEYS.iter().filter_map(|key| Some(key.path.split_once('.')?.0)).collect();
    names.dedup();
    names
}

/// The keys of one table, without the table's name.
pub(crate) fn keys_of(table: &str) -> Vec<&'static str> {
    let split = |key: &'static Key| {
        key.path.split_once('.').filter(|(of, _)| *of == table).map(|(_, key)| key)
    };
    KEYS.iter().filter_map(split).collect()
}

/// The tables that have a key of this name.
pub(crate) fn tables_with(name: &str) -> Vec<&'static str> {
    KEYS.iter()
        .filter_map(|key| key.path.split_once('.'))
        .filter(|(_, key)| *key == name)
        .map(|(table, _)| table)
        .collect()
}

impl Accepts {
    /// The accepted values in words; empty for [`Accepts::Word`].
    pub(crate) fn text(self) -> String {
        match self {
            Accepts::Number(least, f64::MAX) => format!("a finite number, {least} or more"),
            Accepts::Number(least, most) => format!("a number from {least} to {most}"),
            Accepts::Above(least, f64::MAX) => format!("a finite number above {least}"),
            Accepts::Above(least, most) => format!("a number above {least} and at most {most}"),
            Accepts::Whole(least, u64::MAX) => format!("a whole number, {least} to 2^64 - 1"),
            Accepts::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Accepts::Word => String::new(),
            Accepts::Boolean => "true or false".to_owned(),
            Accepts::Other(text, _) => text.to_owned(),
        }
    }

    /// The range of whole numbers, if there is one.
    pub(crate) fn whole_range(self) -> Option<(u64, u64)> {
        match self {
            Accepts::Whole(least, most) | Accepts::Other(_, (least, most)) => Some((least, most)),
            _ => None,
        }
    }

    /// Whether a number is in the range, if there is one.
    pub(crate) fn holds(self, number: f64) -> bool {
        number.is_finite()
            && match self {
                Accepts::Number(least, most) => (least..=most).contains(&number),
                Accepts::Above(least, most) => number > least && number <= most,
                _ => true,
            }
    }
}

/// The candidate nearest to `word` by edit distance, if it is near enough to be a slip.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = word.to_lowercase().replace('_', "-");
    let distance =
        |candidate: &&str| strsim::damerau_levenshtein(&lower, &candidate.replace('_', "-"));
    let near = |(distance, candidate): &(usize, &str)| *distance <= 1 + candidate.len() / 4;
    // Long texts are no slips, and their distance would take long.
    if word.len() > 64 {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (distance(&candidate), candidate))
        .filter(near)
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_unique_and_tables_are_contiguous() {
        let mut paths: Vec<_> = KEYS.iter().map(|key| key.path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), KEYS.len());
        let mut names = tables();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), tables().len());
    }

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        assert_eq!(nearest("long_side_px", keys_of("output")), Some("long-side-px"));
        assert_eq!(nearest("sytle", tables()), Some("style"));
        assert_eq!(nearest("colour", tables()), Some("color"));
        assert_eq!(nearest("kitchen", tables()), None);
    }
}
