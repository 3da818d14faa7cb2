//! ICC profiles that are embedded in outputs: small matrix profiles in version 2, which every
//! reader knows.
//!
//! Written here, byte by byte, because the values of one and the same profile must not change with
//! a library's version.

use moxcms::{ColorProfile, ProfileText, Xyzd};

use super::colour::linear_from_coded;

/// The white of the profile connection space, D50, as fixed-point numbers (ICC.1, 7.2.16).
const D50: [u32; 3] = [0xf6d6, 0x1_0000, 0xd32d];

/// sRGB (IEC 61966-2-1).
pub(crate) fn srgb() -> Vec<u8> {
    build("sRGB", &ColorProfile::new_srgb(), &srgb_curve())
}

/// Display P3: DCI-P3's primaries, D65, sRGB's curve.
pub(crate) fn display_p3() -> Vec<u8> {
    build("Display P3", &ColorProfile::new_display_p3(), &srgb_curve())
}

/// Adobe RGB (1998): gamma 563/256.
pub(crate) fn adobe_rgb() -> Vec<u8> {
    let mut curve = curve_header(1);
    curve.extend(0x0233u16.to_be_bytes());
    build("Compatible with Adobe RGB (1998)", &ColorProfile::new_adobe_rgb(), &curve)
}

/// The name that a profile gives itself, as PNG has names: up to 79 Latin letters.
pub(crate) fn name(profile: &[u8]) -> String {
    let text = ColorProfile::new_from_slice(profile).ok().and_then(|p| match p.description? {
        ProfileText::PlainString(text) => Some(text),
        ProfileText::Localizable(list) => list.into_iter().next().map(|l| l.value),
        ProfileText::Description(text) => Some(text.ascii_string),
    });
    let text: String =
        text.unwrap_or_default().chars().filter(|c| (' '..='~').contains(c)).take(79).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() { "ICC profile".to_owned() } else { text }
}

fn curve_header(count: u32) -> Vec<u8> {
    [b"curv".as_slice(), &[0; 4], &count.to_be_bytes()].concat()
}

/// sRGB's transfer function as 1024 points: closer than half a step of 16 bits almost everywhere.
fn srgb_curve() -> Vec<u8> {
    let points = 1024u16;
    let mut curve = curve_header(u32::from(points));
    for i in 0..points {
        let linear = linear_from_coded(f32::from(i) / f32::from(points - 1));
        curve.extend(((linear * 65535.0).round() as u16).to_be_bytes());
    }
    curve
}

/// A display profile from colorants (D50-adapted) and one curve for all channels.
fn build(name: &str, colorants: &ColorProfile, curve: &[u8]) -> Vec<u8> {
    let description = {
        let ascii = [name.as_bytes(), &[0]].concat();
        let mut tag =
            [b"desc".as_slice(), &[0; 4], &(ascii.len() as u32).to_be_bytes(), &ascii].concat();
        // No Unicode and no Macintosh version of the name.
        tag.extend([0; 4 + 4 + 2 + 1 + 67]);
        tag
    };
    let copyright = [b"text".as_slice(), &[0; 4], b"No copyright, use freely\0"].concat();
    let white = xyz(D50);
    let tags: [(&[u8; 4], Vec<u8>); 9] = [
        (b"desc", description),
        (b"cprt", copyright),
        (b"wtpt", white),
        (b"rXYZ", colorant(colorants.red_colorant)),
        (b"gXYZ", colorant(colorants.green_colorant)),
        (b"bXYZ", colorant(colorants.blue_colorant)),
        (b"rTRC", curve.to_vec()),
        (b"gTRC", curve.to_vec()),
        (b"bTRC", curve.to_vec()),
    ];
    let mut table = (tags.len() as u32).to_be_bytes().to_vec();
    let mut data: Vec<u8> = Vec::new();
    let start = 128 + 4 + 12 * tags.len();
    let mut shared = None;
    for (signature, bytes) in &tags {
        // The three curves are one.
        let is_curve = signature.ends_with(b"TRC");
        let at = match shared {
            Some(at) if is_curve => at,
            _ => {
                let at = start + data.len();
                data.extend_from_slice(bytes);
                data.resize(data.len().next_multiple_of(4), 0);
                at
            }
        };
        shared = shared.or(is_curve.then_some(at));
        table.extend(*signature);
        table.extend((at as u32).to_be_bytes());
        table.extend((bytes.len() as u32).to_be_bytes());
    }
    let mut profile = header(start + data.len());
    profile.extend(table);
    profile.extend(data);
    profile
}

/// The 128 bytes that begin a profile (ICC.1:2001-04, 6.1).
fn header(size: usize) -> Vec<u8> {
    let mut header = (size as u32).to_be_bytes().to_vec();
    header.extend([0; 4]);
    header.extend([2, 0x40, 0, 0]);
    header.extend(b"mntrRGB XYZ ");
    // A date: 1 January 2026, the same for all.
    for part in [2026u16, 1, 1, 0, 0, 0] {
        header.extend(part.to_be_bytes());
    }
    header.extend(b"acsp");
    header.extend([0; 24]);
    header.extend(1u32.to_be_bytes());
    D50.iter().for_each(|v| header.extend(v.to_be_bytes()));
    header.resize(128, 0);
    header
}

fn xyz(fixed: [u32; 3]) -> Vec<u8> {
    let mut tag = b"XYZ \0\0\0\0".to_vec();
    fixed.iter().for_each(|v| tag.extend(v.to_be_bytes()));
    tag
}

fn colorant(c: Xyzd) -> Vec<u8> {
    xyz([c.x, c.y, c.z].map(|v| (v * 65536.0).round() as i32 as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_profiles_are_readable_and_sum_to_white() {
        for (bytes, expected) in [
            (srgb(), "sRGB"),
            (display_p3(), "Display P3"),
            (adobe_rgb(), "Compatible with Adobe RGB (1998)"),
        ] {
            assert_eq!(name(&bytes), expected);
            let profile = ColorProfile::new_from_slice(&bytes).unwrap();
            assert!(profile.is_matrix_shaper());
            let sum = |f: fn(&Xyzd) -> f64| {
                [profile.red_colorant, profile.green_colorant, profile.blue_colorant]
                    .iter()
                    .map(f)
                    .sum::<f64>()
            };
            for (got, want) in [(sum(|c| c.x), 0.9642), (sum(|c| c.y), 1.0), (sum(|c| c.z), 0.8249)]
            {
                assert!((got - want).abs() < 5e-4, "{expected}: {got} for {want}");
            }
        }
        // Photographers' constants: the red of sRGB in D50 is 0.43607, 0.22249, 0.01392.
        let red = ColorProfile::new_from_slice(&srgb()).unwrap().red_colorant;
        assert!((red.x - 0.43607).abs() < 3e-4 && (red.y - 0.22249).abs() < 3e-4, "{red:?}");
    }
}
