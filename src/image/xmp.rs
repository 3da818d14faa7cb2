//! XMP: a photograph's packet made true for the picture painted from it.

use super::exif::Facts;

/// What is stated about pixels, and what it has to be for an upright picture.
fn properties(facts: Facts) -> Vec<(&'static str, String)> {
    let (width, height) = facts.size;
    let mut list = vec![
        ("tiff:Orientation", "1".to_owned()),
        ("tiff:ImageWidth", width.to_string()),
        ("tiff:ImageLength", height.to_string()),
        ("exif:PixelXDimension", width.to_string()),
        ("exif:PixelYDimension", height.to_string()),
    ];
    if let Some(dpi) = facts.dpi {
        let (n, d) = super::ifd::ratio(dpi);
        list.push(("tiff:XResolution", format!("{n}/{d}")));
        list.push(("tiff:YResolution", format!("{n}/{d}")));
        list.push(("tiff:ResolutionUnit", "2".to_owned()));
    }
    list
}

/// The packet with orientation, sizes and resolution replaced where they are stated, thumbnails and
/// padding dropped, and the place taken out unless it is kept. Properties are found under the
/// prefixes that every writer uses, as attributes or as elements.
///
/// Returns nothing when the packet is no text, or a place in it cannot be taken out.
pub(crate) fn refreshed(packet: &[u8], facts: Facts) -> Option<Vec<u8>> {
    let mut text = String::from_utf8(packet.to_vec()).ok()?;
    for (name, value) in properties(facts) {
        text = replace_between(&text, &format!("<{name}>"), &format!("</{name}>"), &value);
        for quote in ['"', '\''] {
            text = replace_between(&text, &format!(" {name}={quote}"), &quote.to_string(), &value);
        }
    }
    for prefix in ["xmp", "xap"] {
        text = cut(&text, &format!("<{prefix}:Thumbnails"), &format!("</{prefix}:Thumbnails>"));
    }
    if !facts.place {
        text = without_place(&text)?;
    }
    Some(without_padding(&text).into_bytes())
}

/// Leaves out the properties whose names begin with GPS, under any prefix: EXIF's and those of
/// drones. Nothing when one of them does not end.
fn without_place(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(colon) = rest.find(':') {
        let (before, local) = (&rest[..colon], &rest[colon + 1..]);
        let prefix = before.len()
            - before.trim_end_matches(|c: char| c.is_alphanumeric() || "-_.".contains(c)).len();
        let start = colon - prefix;
        let is_place = local.get(..3).is_some_and(|name| name.eq_ignore_ascii_case("gps"));
        match if is_place && prefix > 0 { property(rest, start)? } else { None } {
            Some((from, to)) => {
                out.push_str(&rest[..from]);
                rest = &rest[to..];
            }
            None => {
                out.push_str(&rest[..colon + 1]);
                rest = local;
            }
        }
    }
    out.push_str(rest);
    Some(out)
}

/// From where to where the property is whose name begins at `start`: an attribute with its value, or
/// an element with what is in it. `Some(None)` where no property begins, nothing when it does not
/// end.
fn property(text: &str, start: usize) -> Option<Option<(usize, usize)>> {
    let length = text[start..].find(|c: char| c.is_whitespace() || "=/<>".contains(c));
    let name = &text[start..start + length.unwrap_or(text.len() - start)];
    let after = &text[start + name.len()..];
    let ends = |rest: &str| text.len() - rest.len();
    match text[..start].chars().next_back() {
        Some('<') => {
            let tag = after.find('>')?;
            if after[..tag].ends_with('/') {
                return Some(Some((start - 1, ends(&after[tag + 1..]))));
            }
            let close = format!("</{name}>");
            let at = after.find(&close)?;
            Some(Some((start - 1, ends(&after[at + close.len()..]))))
        }
        Some(space) if space.is_whitespace() => {
            let Some(value) = after.trim_start().strip_prefix('=') else { return Some(None) };
            let value = value.trim_start();
            let Some(quote) = value.chars().next().filter(|c| "\"'".contains(*c)) else {
                return Some(None);
            };
            let at = value[1..].find(quote)?;
            Some(Some((start, ends(&value[at + 2..]))))
        }
        _ => Some(None),
    }
}

/// Replaces what lies between `before` and the next `after`, wherever that occurs.
fn replace_between(text: &str, before: &str, after: &str, value: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(before) {
        let start = at + before.len();
        let Some(length) = rest[start..].find(after) else { break };
        out.push_str(&rest[..start]);
        out.push_str(value);
        rest = &rest[start + length..];
    }
    out.push_str(rest);
    out
}

/// Leaves out everything from `before` to the end of the next `after`.
fn cut(text: &str, before: &str, after: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(before) {
        let Some(length) = rest[at..].find(after) else { break };
        out.push_str(&rest[..at]);
        rest = &rest[at + length + after.len()..];
    }
    out.push_str(rest);
    out
}

/// The white space that writers leave for changes in place goes; it is often most of the packet.
fn without_padding(text: &str) -> String {
    match text.rfind("<?xpacket end") {
        Some(end) => format!("{}\n{}", text[..end].trim_end(), &text[end..]),
        None => text.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(place: bool) -> Facts {
        Facts { size: (4000, 3000), dpi: Some(299.5), srgb: true, place }
    }

    fn made_true(packet: &str, place: bool) -> String {
        String::from_utf8(refreshed(packet.as_bytes(), facts(place)).unwrap()).unwrap()
    }

    #[test]
    fn sizes_and_orientation_are_made_true_in_both_notations() {
        let packet = r#"<x:xmpmeta><rdf:Description tiff:Orientation="6" dc:x="6" exif:PixelXDimension='10'>
            <tiff:ImageWidth>10</tiff:ImageWidth><tiff:XResolution>72/1</tiff:XResolution>
            <xmp:Thumbnails><rdf:Alt>AAAA</rdf:Alt></xmp:Thumbnails></rdf:Description></x:xmpmeta>
            
            <?xpacket end="w"?>"#;
        let out = made_true(packet, false);
        assert!(
            out.contains(r#"tiff:Orientation="1" dc:x="6" exif:PixelXDimension='4000'"#),
            "{out}"
        );
        assert!(out.contains("<tiff:ImageWidth>4000</tiff:ImageWidth>"));
        assert!(out.contains("<tiff:XResolution>299500/1000</tiff:XResolution>"));
        assert!(!out.contains("Thumbnails") && !out.contains("AAAA"));
        assert!(out.ends_with("</x:xmpmeta>\n<?xpacket end=\"w\"?>"));
        assert!(refreshed(&[0xff, 0xfe], facts(false)).is_none());
    }

    #[test]
    fn the_place_is_taken_out_in_both_notations_unless_it_is_kept() {
        let packet = r#"<rdf:Description exif:GPSLatitude="48,51.5N" dc:a="1" drone-dji:GpsLongitude = '2.29'
            exif:GPSVersionID="2.3.0.0"><exif:GPSAltitude>35/1</exif:GPSAltitude><dc:b>x: GPS</dc:b>
            <exif:GPSMapDatum/><exif:GPSDestBearing rdf:a="b"><r:li>7</r:li></exif:GPSDestBearing></rdf:Description>"#;
        let out = made_true(packet, false);
        for gone in ["48,51", "2.29", "2.3.0.0", "35/1", "MapDatum", "7</r:li>"] {
            assert!(!out.contains(gone), "{gone}: {out}");
        }
        for kept in
            [r#"dc:a="1""#, "<dc:b>x: GPS</dc:b>", "</rdf:Description>", "<rdf:Description "]
        {
            assert!(out.contains(kept), "{kept}: {out}");
        }
        assert_eq!(made_true(packet, true), packet);
        // What is no property stays; a packet in which a place does not end is not carried.
        for text in ["exif:gps", ":GPS 7", "<a> x:GPS = 5</a>", "</exif:GPSAltitude>"] {
            assert_eq!(made_true(text, false), text);
        }
        for torn in ["<exif:GPSLatitude>4", "<a exif:GPSLatitude=\"4", "<exif:GPSLatitude"] {
            assert!(refreshed(torn.as_bytes(), facts(false)).is_none(), "{torn}");
        }
    }
}
