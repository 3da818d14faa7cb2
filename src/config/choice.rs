//! Settings whose value is one of a few words: an enum for each, with its words written once.
//!
//! An enum that only the settings need is made by [`choice!`]. One that belongs to a module below
//! is used as it is: its words are listed at the end of this file.

use crate::image::{Compression, Intent};
use crate::network::{Arithmetic, Pooling};

/// A setting that is one of a few words.
pub trait Choice: Copy + PartialEq + 'static {
    /// Every alternative and its word, in the order in which messages list them.
    const WORDS: &'static [(Self, &'static str)];

    /// The word that stands for this alternative in a pipeline file.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(choice, _)| *choice == self).map_or("", |(_, word)| word)
    }

    /// The alternative that `word` stands for.
    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(choice, _)| *choice)
    }

    /// The words, in their order.
    fn words() -> impl Iterator<Item = &'static str> {
        Self::WORDS.iter().map(|(_, word)| *word)
    }
}

/// Defines an enum whose alternatives are words of the pipeline file.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$other:meta])* $choice:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$other])* #[serde(rename = $word)] $choice),+
        }

        impl $crate::config::Choice for $name {
            const WORDS: &'static [(Self, &'static str)] = &[$(($name::$choice, $word)),+];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::config::Choice::word(*self))
            }
        }
    };
}

pub(crate) use choice;

impl Choice for Pooling {
    const WORDS: &'static [(Self, &'static str)] =
        &[(Pooling::Max, "max"), (Pooling::Average, "average")];
}

impl Choice for Compression {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Compression::Deflate, "deflate"),
        (Compression::Lzw, "lzw"),
        (Compression::None, "none"),
    ];
}

impl Choice for Intent {
    const WORDS: &'static [(Self, &'static str)] =
        &[(Intent::Relative, "relative-colorimetric"), (Intent::Perceptual, "perceptual")];
}

impl Choice for Arithmetic {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Arithmetic::Float32, "float32"),
        (Arithmetic::Tf32, "tf32"),
        (Arithmetic::Bfloat16, "bfloat16"),
    ];
}
