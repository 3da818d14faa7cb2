//! docs/pipeline.md: its tables are written from the rows of the settings.

use super::schema::TableKeys;
use super::settings::{is_of_run, tables};
use super::*;

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pipeline.md")
}

/// The Markdown table of one table's keys.
fn rows(table: TableKeys) -> String {
    let mut text = "| key | values | default | meaning |\n|---|---|---|---|\n".to_owned();
    let of_run = |key: &&schema::Key| is_of_run(table.name, &key.name());
    let mixed = !keys_of(table.name).all(|key| of_run(&key));
    for key in keys_of(table.name) {
        let whole_run = if mixed && of_run(&key) { " Holds for the whole run." } else { "" };
        let (values, default) = ((key.describe)(key.accepts), (key.default)());
        let about = linked(key.about.trim());
        text.push_str(&format!(
            "| `{}` | {values} | {default} | {about}{whole_run} |\n",
            key.name()
        ));
    }
    text
}

/// `text` with `docs/NAME.md` as a link from a page in `docs/`.
fn linked(text: &str) -> String {
    let link = |word: &str| {
        let page = word.strip_prefix("docs/")?.split_inclusive(".md").next()?;
        Some(format!("[{page}]({page}){}", &word["docs/".len() + page.len()..]))
    };
    text.split(' ').map(|word| link(word).unwrap_or(word.to_owned())).collect::<Vec<_>>().join(" ")
}

/// What a variant cannot set.
fn of_run() -> String {
    let mut names = Vec::new();
    for table in tables() {
        let keys: Vec<_> =
            keys_of(table.name).filter(|key| is_of_run(table.name, &key.name())).collect();
        if keys.len() == keys_of(table.name).count() {
            names.push(format!("`{}`", table.header()));
        } else {
            names.extend(keys.iter().map(|key| format!("`{}`", key.path())));
        }
    }
    format!("{}.\n", names.join(", "))
}

/// `text` with everything between `<!-- name -->` and `<!-- end -->` replaced.
fn replaced(text: &str, name: &str, by: &str) -> String {
    let marker = format!("<!-- {name} -->\n");
    let (before, rest) =
        text.split_once(&marker).unwrap_or_else(|| panic!("docs/pipeline.md has no {marker}"));
    let (_, after) = rest.split_once("<!-- end -->").expect("an end");
    format!("{before}{marker}\n{by}\n<!-- end -->{after}")
}

#[test]
fn the_tables_of_the_reference_are_those_of_the_settings() {
    let text = fs::read_to_string(reference()).expect("the reference");
    let mut written = replaced(&text, "whole run", &of_run());
    for table in tables() {
        written = replaced(&written, &format!("keys of {}", table.header()), &rows(table));
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(reference(), written).expect("written");
    } else {
        assert!(
            written == text,
            "docs/pipeline.md is not what the settings say; UPDATE_DOCS=1 cargo test --release --lib config writes it"
        );
    }
}

#[test]
fn the_examples_of_the_reference_are_sound_toml() {
    let text = fs::read_to_string(reference()).expect("the reference");
    let folder = Folder::new();
    let mut examples = 0;
    for block in text
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block)
    {
        examples += 1;
        let problems = folder.load(block, &[]).err();
        // The files of an example are not here.
        let of_the_text =
            |message: &String| !message.contains("missing") && !message.contains("cannot ");
        let messages: Vec<_> = problems.iter().flat_map(messages).collect();
        let wrong: Vec<_> = messages.iter().filter(|message| of_the_text(message)).collect();
        assert!(wrong.is_empty(), "{block}\n{wrong:?}");
    }
    assert!(examples >= 5);
}
