//! How sizes, times and losses are written, everywhere.

/// Bytes in three figures: `512 KiB`, `13.9 MiB`, `2.41 GiB`.
pub fn bytes(bytes: u64) -> String {
    let mut size = bytes as f64 / 1024.0;
    let mut unit = "KiB";
    for larger in ["MiB", "GiB", "TiB", "PiB"] {
        if size < 999.5 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    match size {
        0.0..9.995 if unit != "KiB" => format!("{size:.2} {unit}"),
        0.0..99.95 if unit != "KiB" => format!("{size:.1} {unit}"),
        _ => format!("{size:.0} {unit}"),
    }
}

/// Bytes in GiB, for numbers that are compared.
pub fn gib(bytes: u64) -> f64 {
    bytes as f64 / (1u64 << 30) as f64
}

/// Seconds as `42 s`, `3 min 05 s` or `2 h 14 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A loss in four figures: `1.234e6`.
pub fn loss(value: f64) -> String {
    format!("{value:.3e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(0.4), "0 s");
        assert_eq!(duration(185.0), "3 min 05 s");
        assert_eq!(duration(8040.0), "2 h 14 min");
    }

    #[test]
    fn sizes_read_well() {
        let mib = |count: f64| bytes((count * (1u64 << 20) as f64) as u64);
        assert_eq!(bytes(0), "0 KiB");
        assert_eq!(mib(0.5), "512 KiB");
        assert_eq!(mib(0.98), "0.98 MiB");
        assert_eq!(mib(2.04), "2.04 MiB");
        assert_eq!(mib(13.94), "13.9 MiB");
        assert_eq!(mib(350.4), "350 MiB");
        assert_eq!(mib(1012.0), "0.99 GiB");
        assert_eq!(mib(2048.0), "2.00 GiB");
        assert_eq!(mib(112.0 * 1024.0), "112 GiB");
        assert_eq!(mib(3.0 * 1024.0 * 1024.0), "3.00 TiB");
    }
}
