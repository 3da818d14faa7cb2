//! XMP: a photograph's packet made true for the picture painted from it.

/// What is stated about pixels, and what it has to be for an upright picture of `width` x `height`.
fn properties(width: u32, height: u32, dpi: Option<f64>) -> Vec<(&'static str, String)> {
    let mut list = vec![
        ("tiff:Orientation", "1".to_owned()),
        ("tiff:ImageWidth", width.to_string()),
        ("tiff:ImageLength", height.to_string()),
        ("exif:PixelXDimension", width.to_string()),
        ("exif:PixelYDimension", height.to_string()),
    ];
    if let Some(dpi) = dpi {
        let (n, d) = super::ifd::ratio(dpi);
        list.push(("tiff:XResolution", format!("{n}/{d}")));
        list.push(("tiff:YResolution", format!("{n}/{d}")));
        list.push(("tiff:ResolutionUnit", "2".to_owned()));
    }
    list
}

/// The packet with orientation, sizes and resolution replaced where they are stated, thumbnails and
/// padding dropped. Properties are found under the prefixes that every writer uses, as attributes
/// or as elements.
///
/// Returns nothing when the packet is no text.
pub(crate) fn refreshed(
    packet: &[u8],
    width: u32,
    height: u32,
    dpi: Option<f64>,
) -> Option<String> {
    let mut text = String::from_utf8(packet.to_vec()).ok()?;
    for (name, value) in properties(width, height, dpi) {
        text = replace_between(&text, &format!("<{name}>"), &format!("</{name}>"), &value);
        for quote in ['"', '\''] {
            text = replace_between(&text, &format!(" {name}={quote}"), &quote.to_string(), &value);
        }
    }
    for prefix in ["xmp", "xap"] {
        text = cut(&text, &format!("<{prefix}:Thumbnails"), &format!("</{prefix}:Thumbnails>"));
    }
    Some(without_padding(&text))
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

    #[test]
    fn sizes_and_orientation_are_made_true_in_both_notations() {
        let packet = r#"<x:xmpmeta><rdf:Description tiff:Orientation="6" dc:x="6" exif:PixelXDimension='10'>
            <tiff:ImageWidth>10</tiff:ImageWidth><tiff:XResolution>72/1</tiff:XResolution>
            <xmp:Thumbnails><rdf:Alt>AAAA</rdf:Alt></xmp:Thumbnails></rdf:Description></x:xmpmeta>
            
            <?xpacket end="w"?>"#;
        let out = refreshed(packet.as_bytes(), 4000, 3000, Some(299.5)).unwrap();
        assert!(
            out.contains(r#"tiff:Orientation="1" dc:x="6" exif:PixelXDimension='4000'"#),
            "{out}"
        );
        assert!(out.contains("<tiff:ImageWidth>4000</tiff:ImageWidth>"));
        assert!(out.contains("<tiff:XResolution>299500/1000</tiff:XResolution>"));
        assert!(!out.contains("Thumbnails") && !out.contains("AAAA"));
        assert!(out.ends_with("</x:xmpmeta>\n<?xpacket end=\"w\"?>"));
        assert!(refreshed(&[0xff, 0xfe], 1, 1, None).is_none());
    }
}
