//! The page as a folder that opens from the disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::ASSETS;
use super::images::{Scale, Subject, Zoom, ZoomSource, is_newer, make_tiles, tiles_in};
use super::model::Page;
use crate::files::{self, canonical, relative};
use crate::image::Limits;
use crate::plan::JobRecord;

/// Why a report cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The folder has something else in it.
    #[error("{} holds something else than a report; name a new folder with --out", .0.display())]
    Foreign(PathBuf),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] files::Error),
    /// The run cannot be put into words.
    #[error("the report cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// A report that was written.
#[derive(Debug)]
pub struct Report {
    /// Its first page.
    pub page: PathBuf,
    /// Pictures that could not be shown, in words.
    pub missing: Vec<String>,
}

/// Writes the page of a run into the folder `out`, over an older report that is there.
///
/// # Errors
/// When the folder holds something else, or a file cannot be written. A picture that cannot be read
/// is no error.
pub fn write_report(page: &Page, out: &Path, limits: &Limits) -> Result<Report, ReportError> {
    refuse_foreign(out)?;
    let data = out.join("data");
    for folder in [out, &data, &out.join("images")] {
        files::create_directories(folder)?;
    }
    // The mark of a report comes first: an interrupted one is written again.
    write_data(&data, "run", &page.overview(false))?;
    for (name, _, text) in ASSETS {
        write(&out.join(name), text.as_bytes())?;
    }
    let mut missing = make_images(page, out, limits);
    let here = canonical(out);
    for (job, _) in page.jobs() {
        let uncut = std::cell::RefCell::new(None);
        let zoom = |job: &JobRecord, source: ZoomSource| zoom(&here, job, source, &uncut);
        if let Some(view) = page.picture(job.index, &zoom) {
            write_data(&data, &format!("picture-{}", job.index), &view)?;
        }
        if let Some(source) = uncut.into_inner() {
            let tiles = tiles_of(out, job);
            if !is_newer(&tiles.join("picture.dzi"), &source) {
                files::create_directories(&tiles)?;
                let made = make_tiles(&source, &tiles, limits);
                missing.extend(made.err().map(|error| error.to_string()));
            }
        }
    }
    Ok(Report { page: out.join("index.html"), missing })
}

/// A folder that is there has to be empty or a report.
fn refuse_foreign(out: &Path) -> Result<(), ReportError> {
    let is_report = out.join("data/run.js").is_file();
    let holds_something = match std::fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() == std::io::ErrorKind::NotADirectory,
    };
    if holds_something && !is_report {
        return Err(ReportError::Foreign(out.into()));
    }
    Ok(())
}

/// Where a job's tiles are in a report.
fn tiles_of(out: &Path, job: &JobRecord) -> PathBuf {
    out.join("tiles").join(job.index.to_string())
}

/// How a report in the folder `here` gets at a picture's own pixels; a picture that has to be cut
/// is left in `uncut`.
fn zoom(
    here: &Path,
    job: &JobRecord,
    source: ZoomSource,
    uncut: &std::cell::RefCell<Option<PathBuf>>,
) -> Zoom {
    let address = |path: &Path| percent_encoded(&relative(here, &canonical(path)));
    match source {
        ZoomSource::Tiles(folder) => Zoom::tiles(address(&folder) + "/", false),
        ZoomSource::Whole(path) => Zoom::Whole { url: address(&path) },
        ZoomSource::Uncut(path) => {
            uncut.replace(Some(path));
            Zoom::tiles(
                percent_encoded(&relative(here, &tiles_in(&tiles_of(here, job)))) + "/",
                false,
            )
        }
    }
}

/// Makes every picture of the page that is not there or older than its source. Returns those that
/// could not be made, in words.
fn make_images(page: &Page, out: &Path, limits: &Limits) -> Vec<String> {
    let folder = out.join("images");
    let make = |subject: Subject, limits: &Limits| match page.order(subject) {
        Some(order) => order.make(&folder, subject, Scale::Thumb, limits).map(drop),
        None => Ok(()),
    };
    // Small ones at once, each with its part of the memory; then the others one by one.
    let part = Limits::bytes(limits.max_bytes / rayon::current_num_threads().max(1) as u64);
    let subjects = subjects(page);
    let large = subjects.into_par_iter().filter(|subject| make(*subject, &part).is_err());
    let large: Vec<Subject> = large.collect();
    let reasons = large.into_iter().filter_map(|subject| make(subject, limits).err());
    let reasons: BTreeSet<String> = reasons.map(|error| error.to_string()).collect();
    reasons.into_iter().collect()
}

/// All that the page shows pictures of.
fn subjects(page: &Page) -> Vec<Subject> {
    let first = page.first_with_content();
    let mut subjects = Vec::new();
    for (job, status) in page.jobs() {
        let content = Subject::Content(job.index);
        subjects.extend(Some(content).filter(|_| first.get(&job.index) == Some(&job.index)));
        subjects.extend(page.shown(job, status));
        subjects.extend((0..job.levels.len()).map(|level| Subject::Level(job.index, level)));
    }
    subjects.extend(page.styles().into_values());
    subjects
}

/// Writes data as a script that hands it to the page: a page from the disk may load no other.
fn write_data(folder: &Path, name: &str, data: &impl Serialize) -> Result<(), ReportError> {
    let json =
        serde_json::to_string(data)?.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    let text = format!("impasto.take({name:?}, {json});\n");
    write(&folder.join(name).with_extension("js"), text.as_bytes())
}

/// Writes a file whole. A report can be made again, so nothing is synced.
fn write(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let failed = files::Error::io("write", path);
    Ok(std::fs::write(path, bytes).map_err(failed)?)
}

/// A relative path as an address.
fn percent_encoded(path: &Path) -> String {
    let mut text = String::new();
    for (number, part) in path.components().enumerate() {
        if number > 0 {
            text.push('/');
        }
        for byte in part.as_os_str().as_encoded_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    text.push(char::from(*byte));
                }
                byte => text.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_hold_no_character_that_means_something_there() {
        let path = Path::new("../a b/<img onerror=\"x\">#?%.png");
        assert_eq!(percent_encoded(path), "../a%20b/%3Cimg%20onerror%3D%22x%22%3E%23%3F%25.png");
    }
}
