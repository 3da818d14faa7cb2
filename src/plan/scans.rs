//! Paintings whose scan is too small for the print: they are enlarged to the size of the strokes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::levels::Level;
use super::{Framing, Job, Source};
use crate::config::Style;
use crate::files::name_text;
use crate::objective::{Spec, size_at};

/// A scan that is enlarged no further than this shows no softness in the strokes.
const ENLARGED: f64 = 1.25;

/// A painting that is enlarged to more than 1.25 times its scan for a print.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SmallScan {
    /// Number of the `[[style]]`, from 0.
    pub style: usize,
    /// The painting's file.
    #[serde(skip)]
    pub image: PathBuf,
    /// Width of the scan, px.
    pub width: usize,
    /// Height of the scan, px.
    pub height: usize,
    /// How many times it is enlarged.
    pub enlarged: f64,
    /// Long side of a scan that is not enlarged, px.
    pub scan_long_side_px: usize,
    /// Long side of a picture for which this scan is not enlarged, px.
    pub picture_long_side_px: usize,
    /// The style's scale with which this scan is not enlarged.
    pub style_scale: f64,
}

impl SmallScan {
    /// The paintings of `styles` (of the sizes `scans`) that are too small for a picture in this
    /// frame, painted up to `levels` with the loss `spec`.
    pub(super) fn among(
        styles: &[Style],
        scans: &[Source],
        framing: &Framing,
        spec: &Spec,
        levels: &[Level],
    ) -> Vec<Self> {
        let spec = spec.with_octaves_up_to(levels.len().saturating_sub(1));
        let octaves = spec.by_octave();
        // The largest canvas that any style layer sees.
        let Some(octave) = octaves.iter().position(|part| !part.styles().is_empty()) else {
            return vec![];
        };
        let canvas = size_at(framing.canvas(), octave);
        let long = canvas.0.max(canvas.1) as f64;
        let found = styles.iter().zip(scans).enumerate().map(|(number, (style, scan))| {
            let wanted = long * style.scale;
            let enlarged = wanted / scan.width.max(scan.height).max(1) as f64;
            let picture = framing.width.max(framing.height) as f64 / enlarged;
            Self {
                style: number,
                image: style.image.clone(),
                width: scan.width,
                height: scan.height,
                enlarged,
                scan_long_side_px: wanted.ceil() as usize,
                picture_long_side_px: picture as usize,
                style_scale: (style.scale / enlarged * 100.0).floor() / 100.0,
            }
        });
        found.filter(|scan| scan.enlarged > ENLARGED).collect()
    }

    /// What the user should know, in words; `picture` is the print's name.
    pub fn words(&self, picture: &str) -> String {
        let Self { width, height, enlarged, scan_long_side_px, picture_long_side_px, .. } = self;
        let image = name_text(self.image.file_name().unwrap_or(self.image.as_os_str()));
        let smaller = match self.style_scale {
            scale if scale >= SMALLEST_SCALE => {
                format!(", or a style scale of {scale} (smaller strokes)")
            }
            _ => String::new(),
        };
        format!(
            "{image}: its scan of {width}x{height} px is enlarged {enlarged:.1} times for {picture}, so the brush strokes will be soft; a scan of {scan_long_side_px} px on its long side would do, or a picture of {picture_long_side_px} px{smaller}"
        )
    }
}

/// The smallest scale that a style may have.
const SMALLEST_SCALE: f64 = 0.05;

impl Job {
    /// What is worth a warning before the night is spent on it, in words.
    pub fn warnings(&self) -> Vec<String> {
        let scans = self.small_scans.iter().map(|scan| scan.words(&self.name));
        self.framing.warning().into_iter().chain(scans).collect()
    }
}

/// The scans that are too small for the prints of `jobs`, in words: a line for each painting, with the
/// print for which it is enlarged most.
pub fn small_scans(jobs: &[Job]) -> Vec<String> {
    let mut worst: BTreeMap<&Path, (f64, String)> = BTreeMap::new();
    let scans = jobs.iter().flat_map(|job| job.small_scans.iter().map(move |scan| (job, scan)));
    for (job, scan) in scans {
        let most = worst.get(scan.image.as_path()).map_or(0.0, |(most, _)| *most);
        if scan.enlarged > most {
            worst.insert(&scan.image, (scan.enlarged, scan.words(&job.name)));
        }
    }
    worst.into_values().map(|(_, words)| words).collect()
}

#[cfg(test)]
mod tests {
    use crate::config;
    use crate::plan::{Job, Source, Sources, plan_job};

    /// A picture of 4000x2000 px in the strokes of paintings with these long sides, px.
    fn job(keys: &[&str], scans: &[usize]) -> Job {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.png"), "x").expect("written");
        let styles = "[[style]]\nimage = 'a.png'\n".repeat(scans.len());
        let file = folder.path().join("p.toml");
        std::fs::write(&file, format!("input.content = 'a.png'\n{styles}")).expect("written");
        let keys: Vec<String> =
            ["output.guard-band=false"].iter().chain(keys).map(|key| key.to_string()).collect();
        let config = config::load(&file, &keys).expect("a pipeline");
        let sources = Sources {
            content: Source::plain(4000, 2000),
            styles: scans.iter().map(|long| Source::plain(*long, 500)).collect(),
            start: None,
        };
        plan_job(&config, &config.outputs()[0], 0, &sources, 64 << 30).expect("a plan")
    }

    #[test]
    fn a_scan_counts_by_the_size_at_which_its_strokes_are_painted() {
        let small = |keys: &[&str], scans: &[usize]| job(keys, scans).small_scans;
        let [scan] = &small(&[], &[1000])[..] else { panic!("one painting") };
        assert_eq!((scan.enlarged, scan.scan_long_side_px), (4.0, 4000));
        assert_eq!((scan.picture_long_side_px, scan.style_scale), (1000, 0.25));
        assert!(small(&[], &[3200]).is_empty() && small(&[], &[3199]).len() == 1);
        assert!(small(&["style.scale=0.25"], &[1000]).is_empty());
        assert_eq!(small(&["style.1.scale=2"], &[4000, 4000])[0].style, 1);
        // What is named does.
        assert!(small(&["output.long-side-px=1000"], &[1000]).is_empty());
        // The guard band is painted too.
        let guarded = job(&["output.guard-band=true"], &[1000]);
        assert!(guarded.small_scans[0].enlarged > 4.0);
    }

    #[test]
    fn layers_that_see_the_canvas_halved_see_the_painting_halved() {
        let keys = [
            "objective.style-layers=[\"relu4_1\"]",
            "objective.octaves=2",
            "pyramid.short-side-px=256",
        ];
        assert_eq!(job(&keys, &[1000]).small_scans[0].enlarged, 2.0);
        assert!(
            job(&["objective.style-weight=0", "objective.statistics-weight=0"], &[10])
                .small_scans
                .is_empty()
        );
    }

    #[test]
    fn a_warning_names_the_painting_and_what_would_do() {
        let words = job(&[], &[1000]).warnings().concat();
        for part in ["a.png: its scan of 1000x500 px", "4.0 times for a-a.png", "4000 px on"] {
            assert!(words.contains(part), "no `{part}` in {words}");
        }
    }
}
