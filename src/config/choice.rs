//! Keys whose value is one of a few words: an enum for each, with the words written once.

/// A setting that is one of a few words.
pub trait Choice: Copy + PartialEq + 'static {
    /// Every alternative, in the order in which messages list them.
    const ALL: &'static [Self];

    /// The word that stands for this alternative in a pipeline file.
    fn word(self) -> &'static str;
}

/// Defines an enum whose alternatives are words of the pipeline file; the first one is the default.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $(#[$first_meta:meta])* $first:ident = $first_word:literal
        $(, $(#[$other_meta:meta])* $other:ident = $other_word:literal)* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $(#[$first_meta])* #[default] #[serde(rename = $first_word)] $first,
            $($(#[$other_meta])* #[serde(rename = $other_word)] $other),*
        }

        impl $crate::config::choice::Choice for $name {
            const ALL: &'static [Self] = &[$name::$first $(, $name::$other)*];

            fn word(self) -> &'static str {
                match self {
                    $name::$first => $first_word,
                    $($name::$other => $other_word),*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::config::choice::Choice::word(*self))
            }
        }
    };
}

pub(crate) use choice;
