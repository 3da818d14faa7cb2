//! What is known of a key beside its value: its name, the values it accepts, what it changes, its
//! default and its line in the documentation.
//!
//! Keys are made by the rows of [`settings!`](super::table::settings); nothing else makes them.

/// What a key's value changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The finished file, directly.
    Pixels,
    /// The finished file, through the bytes of a file that the value names: those count, not the
    /// name.
    Input,
    /// Where the finished file lies.
    Destination,
    /// Speed, memory, messages or order; never the finished file.
    Nothing,
}

/// The values that a key accepts, as far as its type leaves that open.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Accepts {
    /// What the type says.
    AsTyped,
    /// A finite number from the first to the second.
    Number(f64, f64),
    /// A finite number above the first and at most the second.
    Above(f64, f64),
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// A multiple of the first from the second to the third.
    Multiple(u64, u64, u64),
    /// One of these whole numbers.
    OneOf(&'static [u64]),
    /// The path of a file that exists; the text says of what.
    File(&'static str),
    /// The path of a folder that may be made later.
    Folder,
}

impl Accepts {
    /// The accepted values in words.
    pub(crate) fn text(self) -> String {
        match self {
            Accepts::AsTyped => String::new(),
            Accepts::Number(least, f64::MAX) => format!("a finite number, {least} or more"),
            Accepts::Number(least, most) => format!("a number from {least} to {most}"),
            Accepts::Above(least, f64::MAX) => format!("a finite number above {least}"),
            Accepts::Above(least, most) => format!("a number above {least} and at most {most}"),
            Accepts::Whole(least, u64::MAX) => format!("a whole number, {least} to 2^64 - 1"),
            Accepts::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Accepts::Multiple(unit, least, most) => {
                format!("a multiple of {unit} from {least} to {most}")
            }
            Accepts::OneOf(numbers) => {
                let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
                numbers.join(" or ")
            }
            Accepts::File(of) => format!("the path of {of}, relative to the file that says it"),
            Accepts::Folder => "the path of a folder, relative to the file that says it".to_owned(),
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

    /// Whether a whole number is in the range, if there is one.
    pub(crate) fn holds_whole(self, number: u64) -> bool {
        match self {
            Accepts::Whole(least, most) => (least..=most).contains(&number),
            Accepts::Multiple(unit, least, most) => {
                (least..=most).contains(&number) && number.is_multiple_of(unit)
            }
            Accepts::OneOf(numbers) => numbers.contains(&number),
            _ => true,
        }
    }
}

/// One key.
pub(crate) struct Key {
    /// The table that it is in.
    pub(crate) table: &'static str,
    /// The field that holds its value.
    pub(crate) field: &'static str,
    pub(crate) accepts: Accepts,
    pub(crate) effect: Effect,
    /// The accepted values as Markdown, with TOML in backticks.
    pub(crate) describe: fn(Accepts) -> String,
    /// The default as Markdown; empty if the key has none.
    pub(crate) default: fn() -> String,
    /// What the key means, in sentences.
    #[allow(dead_code, reason = "a test writes docs/pipeline.md with it")]
    pub(crate) about: &'static str,
}

/// The default of a key that must be given.
pub(crate) const REQUIRED: &str = "required";

impl Key {
    /// The key's name: that of its field with hyphens.
    pub(crate) fn name(&self) -> String {
        self.field.replace('_', "-")
    }

    /// `table.key`.
    pub(crate) fn path(&self) -> String {
        format!("{}.{}", self.table, self.name())
    }

    pub(crate) fn is_required(&self) -> bool {
        (self.default)() == REQUIRED
    }

    /// What the key accepts, for a message.
    pub(crate) fn help(&self) -> String {
        format!("`{}` takes {}", self.path(), (self.describe)(self.accepts).replace('`', ""))
    }
}

/// The keys of a table, or a part of them.
#[derive(Clone, Copy)]
pub(crate) struct TableKeys {
    /// The table's name.
    pub(crate) name: &'static str,
    /// Whether there may be several of the table.
    pub(crate) repeated: bool,
    pub(crate) keys: &'static [Key],
}

impl TableKeys {
    /// The table's head in a file.
    pub(crate) fn header(&self) -> String {
        if self.repeated { format!("[[{}]]", self.name) } else { format!("[{}]", self.name) }
    }
}
