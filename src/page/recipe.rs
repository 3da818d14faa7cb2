//! The pipeline of one picture, and the commands that go on with a run.

use std::path::Path;

use serde_json::{Map, Value};

use crate::files::path_text;
use crate::journal::RunSnapshot;
use crate::plan::JobRecord;

/// A pipeline that has the settings of this picture alone. Files are as seen from the pipeline's
/// folder.
pub fn recipe(run: &RunSnapshot, job: &JobRecord) -> String {
    let mut document = toml::Table::new();
    let input = [("content".to_owned(), toml::Value::Array(vec![job.content.to_string().into()]))];
    document.insert("input".into(), toml::Table::from_iter(input).into());
    for settings in [&run.settings, &job.settings] {
        let Ok(tables) = toml::Table::try_from(settings) else { continue };
        for (name, value) in tables {
            match (document.get_mut(&name).and_then(toml::Value::as_table_mut), value) {
                (Some(there), toml::Value::Table(more)) => there.extend(more),
                (_, value) => drop(document.insert(name, value)),
            }
        }
    }
    if let Some(output) = document.get_mut("output").and_then(toml::Value::as_table_mut) {
        output.insert("name".into(), job.name.clone().into());
    }
    toml::to_string(&document).unwrap_or_default()
}

/// The command that resumes a run.
pub fn resume_command(run: &RunSnapshot) -> String {
    format!("impasto run {}", quoted(&path_text(&pipeline(run))))
}

/// The command that makes the same picture twice as large, beside the pictures of this run; nothing
/// where its size is a sheet of paper.
pub fn larger_command(run: &RunSnapshot, job: &JobRecord) -> Option<String> {
    let output = job.settings.get("output").and_then(Value::as_object)?;
    let sizes = doubled(output)?;
    let directory = run.settings.get("output")?.get("directory")?.as_str()?;
    let directory = format!("output.directory={}-larger", directory.trim_end_matches('/'));
    let sets = std::iter::once(directory).chain(sizes);
    let words: Vec<String> = sets.map(|set| format!(" --set {}", quoted(&set))).collect();
    Some(resume_command(run) + &words.concat())
}

/// The settings of twice the size.
fn doubled(output: &Map<String, Value>) -> Option<Vec<String>> {
    let twice = |key: &str| {
        let value = output.get(key)?;
        let value = value.as_u64().map(|n| (2 * n).to_string()).or_else(|| {
            let value = 2.0 * value.as_f64()?;
            Some(format!("{value:?}"))
        })?;
        Some(format!("output.{key}={value}"))
    };
    let given = ["long-side-px", "width-mm", "height-mm", "scale"].into_iter().filter_map(twice);
    let sets: Vec<String> = given.collect();
    match (sets.is_empty(), output.contains_key("size")) {
        (false, _) => Some(sets),
        (true, true) => None,
        (true, false) => Some(vec!["output.scale=2.0".into()]),
    }
}

/// The pipeline file's path.
fn pipeline(run: &RunSnapshot) -> std::path::PathBuf {
    run.home.as_path().join(Path::new(&run.pipeline))
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_size_by_the_key_that_gives_it() {
        let of =
            |json: &str| doubled(serde_json::from_str::<Value>(json).unwrap().as_object().unwrap());
        assert_eq!(of(r#"{"long-side-px":1024}"#).unwrap(), ["output.long-side-px=2048"]);
        assert_eq!(
            of(r#"{"width-mm":420.5,"height-mm":594}"#).unwrap(),
            ["output.width-mm=841.0", "output.height-mm=1188"]
        );
        assert_eq!(of("{}").unwrap(), ["output.scale=2.0"], "the photograph's own size");
        assert_eq!(of(r#"{"size":"a3"}"#), None);
    }
}
