//! Settings are written once: [`settings!`] makes a table of the pipeline file from rows.
//!
//! ```text
//! settings! {
//!     /// `[frame]`: what is drawn around the picture.
//!     Frame = "frame" {
//!         /// Width of the frame; 0 draws none.
//!         width_mm: Mm = Mm(0.0), Pixels, Number(0.0, 100.0);
//!         /// Colour of the frame.
//!         tone: Tone = Tone::Black, Pixels;
//!         /// A picture that is laid over the frame.
//!         texture: Option<PathBuf> = None => "no texture", Input, File("a picture");
//!     }
//! }
//! ```
//!
//! A row is `name: type = default => words, effect, accepted;`. The key in the file is the name with
//! hyphens: `frame.width-mm`. The type is any [`SettingValue`]; one that may be left to a later stage
//! is an `Option`. `=> words` says in the documentation what the default means where its value does
//! not; the words `"required"` make a missing key a problem. The effect is one of
//! [`Effect`](super::Effect), the accepted values are one of [`Accepts`](super::schema::Accepts) and
//! left out where the type says it all. The comment is the key's line in docs/pipeline.md, where
//! `docs/NAME.md` becomes a link.
//!
//! From the rows come the struct with its fields, its defaults, and a constant for each [`Key`];
//! through [`SettingsTable`] the reading, the listing and the list of known keys, with which
//! `--set`, unknown keys and the documentation work.
//!
//! [`tables!`] puts tables together: one of a name, or a `Vec` of tables that may be repeated.

use super::listing::Listing;
use super::reader::{Place, Reader, SettingValue};
use super::schema::TableKeys;

/// A struct that [`settings!`] made.
pub(crate) trait SettingsTable: Sized {
    /// The table's keys.
    const TABLE: TableKeys;

    /// Reads every key at `place`.
    fn read_at(reader: &mut Reader<'_>, place: &Place<'_>) -> Self;

    /// Lists every key under the name `table`.
    fn list_as(&self, table: &str, list: &mut Listing);
}

/// One table, or several of a kind.
pub(crate) trait Section: Sized {
    /// The keys.
    const TABLE: TableKeys;

    fn read(reader: &mut Reader<'_>) -> Self;

    fn list(&self, list: &mut Listing);
}

impl<T: SettingsTable> Section for T {
    const TABLE: TableKeys = T::TABLE;

    fn read(reader: &mut Reader<'_>) -> Self {
        let place = reader.place(T::TABLE);
        T::read_at(reader, &place)
    }

    fn list(&self, list: &mut Listing) {
        self.list_as(T::TABLE.name, list);
    }
}

impl<T: SettingsTable> Section for Vec<T> {
    const TABLE: TableKeys = TableKeys { repeated: true, ..T::TABLE };

    fn read(reader: &mut Reader<'_>) -> Self {
        let places = reader.places(Self::TABLE);
        places.iter().map(|place| T::read_at(reader, place)).collect()
    }

    fn list(&self, list: &mut Listing) {
        for (index, table) in self.iter().enumerate() {
            table.list_as(&format!("{}.{index}", T::TABLE.name), list);
        }
    }
}

/// A default value as the documentation shows it.
pub(crate) fn shown_default<T: SettingValue>(default: &T) -> String {
    default.toml(&|path| path.to_owned()).map_or_else(String::new, |toml| format!("`{toml}`"))
}

/// Makes a table of the pipeline file from its rows; see the head of this file.
macro_rules! settings {
    ($(#[doc = $about_table:literal])+ $table:ident = $name:literal {
        $($(#[doc = $about:literal])+ $field:ident: $type:ty = $default:expr $(=> $words:literal)?,
            $effect:ident $(, $accepts:expr)?;)+
    }) => {
        $(#[doc = $about_table])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $table { $($(#[doc = $about])+ pub $field: $type),+ }

        #[allow(non_upper_case_globals, reason = "a key has the name of its field")]
        impl $table {
            $(pub(crate) const $field: $crate::config::schema::Key = $crate::config::schema::Key {
                table: $name,
                field: stringify!($field),
                accepts: settings!(@accepts $($accepts)?),
                effect: $crate::config::schema::Effect::$effect,
                describe: <$type as $crate::config::reader::SettingValue>::describe,
                default: || settings!(@default $type = $default $(=> $words)?),
                about: concat!($($about),+),
            };)+
        }

        impl Default for $table {
            fn default() -> Self { Self { $($field: $default),+ } }
        }

        impl $crate::config::table::SettingsTable for $table {
            const TABLE: $crate::config::schema::TableKeys = $crate::config::schema::TableKeys {
                name: $name,
                repeated: false,
                keys: &[$(Self::$field),+],
            };

            fn read_at(
                reader: &mut $crate::config::reader::Reader<'_>,
                place: &$crate::config::reader::Place<'_>,
            ) -> Self {
                Self { $($field: reader.value(place, &Self::$field, $default)),+ }
            }

            fn list_as(&self, table: &str, list: &mut $crate::config::listing::Listing) {
                $(list.add(table, &Self::$field, &self.$field);)+
            }
        }
    };
    (@accepts) => { $crate::config::schema::Accepts::AsTyped };
    (@accepts $accepts:expr) => {{
        #[allow(unused_imports, reason = "rows use what they need")]
        use $crate::config::schema::Accepts::*;
        $accepts
    }};
    (@default $type:ty = $default:expr) => {{
        let default: $type = $default;
        $crate::config::table::shown_default(&default)
    }};
    (@default $type:ty = $default:expr => $words:literal) => { $words.to_owned() };
}

/// Puts tables together in one struct.
macro_rules! tables {
    ($(#[doc = $about:literal])+ $group:ident {
        $($(#[doc = $about_table:literal])+ $field:ident: $type:ty;)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $group { $($(#[doc = $about_table])+ pub $field: $type),+ }

        impl $group {
            /// The keys of every table.
            pub(crate) const TABLES: &'static [$crate::config::schema::TableKeys] =
                &[$(<$type as $crate::config::table::Section>::TABLE),+];

            /// Reads and checks every key by itself.
            pub(crate) fn read(reader: &mut $crate::config::reader::Reader<'_>) -> Self {
                Self { $($field: $crate::config::table::Section::read(reader)),+ }
            }

            /// The settings as a list of keys and values, in a fixed order; files by their
            /// identity as seen from `home`, the pipeline's folder.
            pub fn listing(&self, home: &$crate::files::Home) -> Vec<$crate::config::ListedSetting> {
                let mut list = $crate::config::listing::Listing::new(home);
                $($crate::config::table::Section::list(&self.$field, &mut list);)+
                list.into_list()
            }
        }
    };
}

pub(crate) use {settings, tables};
