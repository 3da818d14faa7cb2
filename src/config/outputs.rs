//! Where pictures go: their names, and the files that a job writes beside each.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::companions::{
    contact_sheet_paths, partial_path, preview_path, pyramid_folder, pyramid_path, stem,
};
use super::name::NameParts;
use super::settings::{Output, PictureParts, ViewerTiles};
use super::{Config, Variant};
use crate::files::NamedFile;

/// A picture that the pipeline makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// Index into [`Config::variants`].
    pub variant: usize,
    /// Index into the content images of that variant's `[input]`.
    pub content: usize,
    /// What `{index}` stands for in its name, from 1.
    pub number: usize,
    /// Where the picture goes.
    pub path: PathBuf,
}

impl Config {
    /// Every picture, variant by variant in the order of the content. No two have the same path,
    /// nor paths that differ only in the case of letters.
    pub fn outputs(&self) -> Vec<OutputFile> {
        let mut outputs = Vec::new();
        for (index, variant) in self.variants.iter().enumerate() {
            let numbers = self.numbers(variant);
            let content = variant.input.content.iter().zip(numbers).enumerate();
            outputs.extend(content.map(|(content, (file, number))| OutputFile {
                variant: index,
                content,
                number,
                path: variant.output(&self.run.output.directory, file, number),
            }));
        }
        outputs
    }

    /// Where the contact sheets go; none if the pipeline asks for none.
    pub fn contact_sheets(&self) -> Vec<PathBuf> {
        match self.run.output.contact_sheet {
            true => contact_sheet_paths(&self.file, &self.run.output.directory),
            false => vec![],
        }
    }

    /// What `{index}` stands for, by content: a content image keeps the number that it has in the
    /// pipeline's newest run, so that what is added later changes no name; the others follow.
    fn numbers(&self, variant: &Variant) -> Vec<usize> {
        let known = |file: &NamedFile| {
            self.past.numbers.get(&(variant.name.clone(), file.id.clone())).copied()
        };
        let known: Vec<Option<usize>> = variant.input.content.iter().map(known).collect();
        let of_variant = self.past.numbers.iter().filter(|((name, _), _)| *name == variant.name);
        let mut last = of_variant.map(|(_, number)| *number).max().unwrap_or(0);
        let mut next = || {
            last += 1;
            last
        };
        known.into_iter().map(|number| number.unwrap_or_else(&mut next)).collect()
    }
}

impl Variant {
    /// What beside content and style its name is made of.
    pub(super) fn parts(&self) -> PictureParts {
        PictureParts { variant: self.variant.is_some(), grid: self.combination.is_some() }
    }

    /// What `{style}` stands for: the stems of the styles' files, joined by `+`.
    pub fn style_name(&self) -> OsString {
        let stems: Vec<_> = self.settings.styles.iter().map(|style| stem(&style.image)).collect();
        stems.join(OsStr::new("+"))
    }

    /// Where the picture of a content image goes.
    fn output(&self, directory: &Path, content: &Path, number: usize) -> PathBuf {
        let template = self.settings.name_template(self.parts());
        let name = template.fill(&NameParts {
            content: stem(content),
            extension: content.extension().unwrap_or_default(),
            style: &self.style_name(),
            variant: self.variant.as_deref().unwrap_or_default(),
            grid: self.combination.as_ref().map_or("", |combination| &combination.name),
            index: number,
        });
        super::paths::normalise(&directory.join(name))
    }
}

/// What a file is that a job writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobFile {
    /// The finished picture.
    Picture,
    /// The picture of an interrupted job.
    Partial,
    /// A small JPEG of it.
    Preview,
    /// The description of its Deep Zoom tiles.
    Description,
    /// The folder of its Deep Zoom tiles.
    Tiles,
}

impl fmt::Display for JobFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JobFile::Picture => "picture",
            JobFile::Partial => "partial picture",
            JobFile::Preview => "preview",
            JobFile::Description => "Deep Zoom description",
            JobFile::Tiles => "folder of Deep Zoom tiles",
        })
    }
}

/// The files that a job of these settings writes, but for its intermediate pictures. A preview is
/// also written after each level of a pyramid that is not the last.
pub fn written_files(output: &Path, settings: &Output) -> Vec<(JobFile, PathBuf)> {
    let mut files = vec![
        (JobFile::Picture, output.to_path_buf()),
        (JobFile::Partial, partial_path(output)),
        (JobFile::Preview, preview_path(output)),
    ];
    if settings.pyramid == ViewerTiles::Dzi {
        files.push((JobFile::Description, pyramid_path(output)));
        files.push((JobFile::Tiles, pyramid_folder(output)));
    }
    files
}
