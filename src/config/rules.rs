//! What keys mean together: contradictions, and settings that have no effect.
//!
//! What cannot be honoured is a problem. What is sound and has no effect is a warning, if the
//! pipeline itself says it: files that are extended are general. How a level is computed is known
//! to the planner alone; it asks [`without_effect`].

use super::name::NameTemplate;
use super::problem::Problem;
use super::reader::Reader;
use super::schema::Key;
use super::settings::*;
use super::table::Section;
use super::values::OrAuto;
use crate::image::{Compression, OutputFormat};
use crate::network::Precision;
use crate::units::Px;

/// Checks what all pictures share.
pub(crate) fn check_run(reader: &mut Reader<'_>, run: &RunSettings) {
    let OrAuto::Value(devices) = &run.compute.devices else { return };
    let cpus = devices.iter().filter(|name| **name == DeviceName::Cpu).count();
    if cpus > 0 && cpus < devices.len() {
        let problem = Problem::new("`compute.devices` mixes GPUs and the CPU")
            .help("their results differ in the last bits; name GPUs alone, or the CPU");
        reader.report_together(problem, &[&Compute::devices]);
    }
    if run.compute.precision == Precision::Tf32 && cpus > 0 {
        let problem = Problem::new("`compute.precision` is \"tf32\", which only GPUs have")
            .help("the CPU takes \"float32\" and \"bfloat16\"");
        reader.report_together(problem, &[&Compute::precision, &Compute::devices]);
    }
}

/// Checks the settings of a picture in a run of `run`.
pub(crate) fn check_picture(
    reader: &mut Reader<'_>,
    run: &RunSettings,
    settings: &Settings,
    parts: PictureParts,
) {
    check_style(reader, settings);
    check_name(reader, settings, parts);
    check_size(reader);
    check_objective(reader, &settings.objective);
    check_distance(reader, &settings.objective);
    check_look(reader, &settings.objective);
    check_start(reader, &settings.start);
    check_mode(reader, settings);
    check_bitwise(reader, &run.compute, &settings.tiling);
    warn_of_output(reader, &settings.output, &settings.name_template(parts));
    warn_of_method(reader, settings);
}

fn check_style(reader: &mut Reader<'_>, settings: &Settings) {
    if settings.styles.is_empty() && settings.objective.needs_style() {
        let place = reader.place(<Vec<Style> as Section>::TABLE);
        reader.missing(&place, &Style::image, "a style is missing");
    }
}

/// Placeholders stand for what there is.
fn check_name(reader: &mut Reader<'_>, settings: &Settings, parts: PictureParts) {
    let output = &settings.output;
    let Some(name) = &output.name else { return };
    let origin = reader.node(&Output::name).map(|node| &node.origin);
    let styled = settings.has_style() || reader.is_incomplete();
    if name.uses_style() && !styled {
        let message = "the name has {style}, but there is no style";
        reader.reject(&Output::name, origin, message, "leave `{style}` out");
    }
    if name.uses_variant() && !parts.variant {
        let message = "the name has {variant}, but there is no [[variant]]";
        reader.reject(&Output::name, origin, message, "leave `{variant}` out");
    }
    if name.uses_grid() && !parts.grid {
        let message = "the name has {grid}, but there is no [grid]";
        reader.reject(&Output::name, origin, message, "leave `{grid}` out");
    }
    if name.format() == OutputFormat::Jpeg && output.bit_depth == 16 {
        let problem = Problem::new("a JPEG has 8 bits a channel, and `output.bit-depth` is 16")
            .help("end the name in .png or .tiff, or set `bit-depth = 8`");
        reader.report_together(problem, &[&Output::bit_depth, &Output::name]);
    }
}

/// The size is given in one way.
fn check_size(reader: &mut Reader<'_>) {
    let given: Vec<_> =
        SIZE_KEYS.into_iter().filter(|keys| keys.iter().any(|key| reader.is_given(key))).collect();
    if given.len() > 1 {
        let problem = Problem::new("the size is given in more than one way").help(
            "keep one of: `long-side-px`; `width-mm` and/or `height-mm` with `dpi`; `size` with `dpi`; `scale`",
        );
        reader.report_together(problem, &given.concat());
    }
}

fn check_objective(reader: &mut Reader<'_>, objective: &Objective) {
    if objective.is_zero() {
        let problem = Problem::new("all weights are 0, so there is nothing to minimise")
            .help("set one of `content-weight`, `style-weight`, `statistics-weight` and `variation-weight` above 0");
        let keys = [
            &Objective::content_weight,
            &Objective::style_weight,
            &Objective::statistics_weight,
            &Objective::variation_weight,
            &Objective::content_layers,
            &Objective::style_layers,
        ];
        reader.report_together(problem, &keys);
    }
}

/// Looks are weights of one preset.
fn check_look(reader: &mut Reader<'_>, objective: &Objective) {
    if objective.preset != Preset::Wasserstein && objective.look.is_some() {
        let preset = objective.preset;
        let problem = Problem::new(format!(
            "`objective.look` is for `preset = \"wasserstein\"`, and the preset is \"{preset}\""
        ))
        .help("leave `look` out and set `content-weight`, or change the preset");
        reader.report_together(problem, &[&Objective::look, &Objective::preset]);
    }
}

/// The distance of the preset holds means and deviations already.
fn check_distance(reader: &mut Reader<'_>, objective: &Objective) {
    if objective.preset == Preset::Wasserstein
        && objective.statistics_weight.is_some_and(|weight| weight != 0.0)
    {
        let problem = Problem::new(
            "`objective.statistics-weight` has no place beside `preset = \"wasserstein\"`",
        )
        .help("the Wasserstein distance compares means and deviations already; set `style-weight`");
        reader.report_together(problem, &[&Objective::statistics_weight, &Objective::preset]);
    }
}

fn check_start(reader: &mut Reader<'_>, start: &Start) {
    let is_image = start.from == StartFrom::Image;
    if is_image && !reader.is_given(&Start::image) && !reader.is_incomplete() {
        let origin = reader.node(&Start::from).map(|node| &node.origin);
        let message = "`start.from` is \"image\" but `start.image` is missing";
        reader.reject(&Start::image, origin, message, "which image?");
    }
    if start.image.is_some() && !reader.is_given(&Start::from) && !reader.is_incomplete() {
        let problem =
            Problem::new("`start.image` is given, but the canvas starts from the content")
                .help("set `start.from = \"image\"`, or leave `start.image` out");
        reader.report_together(problem, &[&Start::image]);
    }
    if start.from == StartFrom::Noise
        && reader.is_given(&Start::noise_ratio)
        && start.noise_ratio != 1.0
    {
        let problem = Problem::new(format!(
            "`start.from` is \"noise\", which is nothing but noise, and `start.noise-ratio` is {}",
            start.noise_ratio
        ));
        let help =
            "leave `noise-ratio` out or set it to 1; for a mixture, set `from = \"content\"`";
        reader.report_together(problem.help(help), &[&Start::from, &Start::noise_ratio]);
    }
}

/// What blocks and feathered mode do not have.
fn check_mode(reader: &mut Reader<'_>, settings: &Settings) {
    let mode = settings.tiling.mode;
    if mode.is_in_rounds() && settings.tiling.margins == TilingMargins::Bitwise {
        let message = format!(
            "`tiling.margins` is \"bitwise\", which `tiling.mode` \"{mode}\" does not have"
        );
        let problem = Problem::new(message)
            .help("set `margins = \"exact\"`, or `mode = \"exact\"` if the memory allows it");
        reader.report_together(problem, &[&Tiling::margins, &Tiling::mode]);
    }
}

/// The same bytes for any core: what cores must be, and that the CPU computes.
fn check_bitwise(reader: &mut Reader<'_>, compute: &Compute, tiling: &Tiling) {
    if tiling.margins != TilingMargins::Bitwise {
        return;
    }
    let is_cpu = |name: &DeviceName| *name == DeviceName::Cpu;
    if let OrAuto::Value(devices) = &compute.devices
        && !devices.iter().any(is_cpu)
    {
        let problem = Problem::new("`tiling.margins` is \"bitwise\", which only the CPU can do")
            .help("set `margins = \"exact\"`, or `devices = [\"cpu\"]`");
        reader.report_together(problem, &[&Tiling::margins, &Compute::devices]);
    }
    // Tiles of the deepest cells must begin at the corners of cores.
    const UNIT: u32 = crate::geometry::GRID as u32;
    if let OrAuto::Value(Px(side)) = tiling.core_px
        && !side.is_multiple_of(UNIT)
    {
        let near = side.next_multiple_of(UNIT);
        let help = match near - UNIT {
            0 => format!("set `core-px = {near}`, or `margins = \"exact\"`"),
            below => format!("set `core-px = {below}` or {near}, or `margins = \"exact\"`"),
        };
        let message = format!(
            "`tiling.core-px` is {side}, and `tiling.margins` \"bitwise\" needs a multiple of {UNIT}"
        );
        let problem = Problem::new(message).help(help);
        reader.report_together(problem, &[&Tiling::core_px, &Tiling::margins]);
    }
}

fn warn_of_output(reader: &mut Reader<'_>, output: &Output, name: &NameTemplate) {
    let (format, size) = (name.format(), output.print_size());
    let has_both_sides = match size {
        Size::Print { width, height, .. } => width.is_some() && height.is_some(),
        Size::Paper { .. } => true,
        Size::LongSide(_) | Size::Scale(_) => false,
    };
    let covers = has_both_sides && output.fit == Fit::Cover;
    let compresses = match format {
        OutputFormat::Tiff => true,
        OutputFormat::Png => output.compression == Compression::Deflate,
        _ => false,
    };
    let dithers = output.bit_depth == 8 || !output.dither;
    let keys = [
        (
            &Output::fit,
            has_both_sides,
            "only a size with width and height has another shape than the photograph",
        ),
        (
            &Output::crop_focus,
            covers,
            "nothing is cut off without `fit = \"cover\"` and a size with width and height",
        ),
        (
            &Output::compression,
            compresses,
            "a PNG is always deflated, and a JPEG has its own compression",
        ),
        (&Output::quality, format == OutputFormat::Jpeg, "only a JPEG has a quality"),
        (&Output::dither, dithers, "16 bits are not dithered"),
    ];
    warn_of_unused(reader, &keys);
}

fn warn_of_method(reader: &mut Reader<'_>, settings: &Settings) {
    let Settings { styles, color, start, optimise, tiling, .. } = settings;
    let starts_from_image = start.from == StartFrom::Image || !reader.is_given(&Start::from);
    let is_noisy = start.from == StartFrom::Noise || start.noise_ratio > 0.0;
    let is_shared = styles.len() > 1 || styles.iter().all(|style| style.weight == 1.0);
    let has_rounds = tiling.mode != TilingMode::Exact;
    let no_rounds = "`tiling.mode` \"exact\" has no rounds";
    let keys = [
        (
            &Color::intent,
            color.output_profile != ProfileSource::Srgb,
            "an sRGB picture needs no conversion",
        ),
        (&Start::image, starts_from_image, "`start.from` names another start"),
        (&Start::seed, is_noisy, "there is no noise in the start"),
        (
            &Style::weight,
            is_shared,
            "a single style has the whole weight; `objective.style-weight` weighs it against the content",
        ),
        (&Optimise::history, optimise.method == Method::Lbfgs, "Adam remembers no steps"),
        (&Tiling::rounds, has_rounds, no_rounds),
        (&Tiling::visit, has_rounds, no_rounds),
        (&Tiling::overlap_px, has_rounds, no_rounds),
    ];
    warn_of_unused(reader, &keys);
}

/// Warns of the keys that the pipeline gives and that have no effect, with the reason.
fn warn_of_unused(reader: &mut Reader<'_>, keys: &[(&Key, bool, &str)]) {
    for (key, has_effect, reason) in keys {
        if !has_effect && reader.is_own(key) {
            let message = format!("`{}` has no effect: {reason}", key.path());
            reader.report_together(Problem::warning(message), &[key]);
        }
    }
}

/// How a level is computed, as far as it decides what has an effect.
#[derive(Clone, Copy, Debug)]
pub struct LevelMode {
    /// In blocks or feathered mode.
    pub in_rounds: bool,
    /// By GPUs.
    pub on_gpus: bool,
    /// Evaluations that one optimiser makes.
    pub evaluations: usize,
}

/// The settings that have no effect on a level, in words.
pub fn without_effect(settings: &Settings, level: LevelMode) -> Vec<&'static str> {
    let bitwise = settings.tiling.margins == TilingMargins::Bitwise;
    let reasons = [
        (
            level.evaluations == 1,
            "a level with 1 evaluation stays as it starts: the first evaluation only measures; pyramid.evaluations and tiling.visit have an effect from 2 on",
        ),
        (
            level.in_rounds && bitwise,
            "tiling.margins = \"bitwise\" has no effect on levels in blocks mode: their bytes depend on the tiles",
        ),
        (
            level.on_gpus && bitwise,
            "tiling.margins = \"bitwise\" has no effect on GPUs: only the CPU gives the same bytes for any core",
        ),
    ];
    reasons.into_iter().filter_map(|(applies, reason)| applies.then_some(reason)).collect()
}
