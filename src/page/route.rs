//! What may be asked of the live page: every address it has, and who may ask.

use std::net::IpAddr;

use super::ASSETS;
use super::images::{Scale, Subject};

/// An address of the page. All are made of fixed words and numbers: none holds a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// One of the page's own files, by its place.
    Asset(usize),
    /// The run, if it is not at this version.
    Run(Option<u64>),
    /// A job, if the run is not at this version.
    Picture(usize, Option<u64>),
    /// A thumbnail or view.
    Image(Subject, Scale),
    /// A finished picture as it is.
    File(usize),
    /// Whether a job's tiles are there; asking has them made.
    Ready(usize),
    /// A tile of a job.
    Tile {
        /// The job.
        job: usize,
        /// 0 is one pixel.
        level: u32,
        /// From the left.
        column: u32,
        /// From the top.
        row: u32,
    },
}

impl Route {
    /// The route of an address as a request gives it.
    pub fn parse(url: &str) -> Option<Self> {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let since = query.strip_prefix("since=").and_then(number);
        Some(match parts[..] {
            [""] => Route::Asset(0),
            ["data", "run.json"] => Route::Run(since),
            ["data", name] => {
                let job = name.strip_prefix("picture-")?.strip_suffix(".json")?;
                Route::Picture(number(job)?, since)
            }
            ["images", name] => {
                let (subject, scale) = Subject::parse(name)?;
                Route::Image(subject, scale)
            }
            ["file", job] => Route::File(number(job)?),
            ["tiles", job, "ready.json"] => Route::Ready(number(job)?),
            ["tiles", job, level, tile] => {
                let (column, row) = tile.strip_suffix(".jpg")?.split_once('_')?;
                let (job, level) = (number(job)?, number(level)?);
                Route::Tile { job, level, column: number(column)?, row: number(row)? }
            }
            [name] => Route::Asset(ASSETS.iter().position(|(known, ..)| *known == name)?),
            _ => return None,
        })
    }
}

/// A number as an address has it: digits alone.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Who may ask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access {
    /// The address that the server listens at.
    pub address: IpAddr,
}

impl Access {
    /// Whether a request for this `host` is ours. A page from elsewhere whose name is made to lead to
    /// this machine (DNS rebinding) asks under its own name; an address in figures cannot be made
    /// to lead elsewhere.
    pub fn allows_host(&self, host: &str) -> bool {
        let Some(name) = without_port(host) else { return false };
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let name = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
        match name.parse::<IpAddr>() {
            Ok(address) => !self.address.is_loopback() || address.is_loopback(),
            Err(_) => false,
        }
    }

    /// Whether a request that a browser calls one from `site` (`Sec-Fetch-Site`) in this `mode`
    /// (`Sec-Fetch-Mode`) is ours: pages of other sites may lead here, and load nothing from here.
    pub fn allows_site(site: Option<&str>, mode: Option<&str>) -> bool {
        matches!(site, None | Some("same-origin" | "none")) || mode == Some("navigate")
    }
}

/// A `Host` header without its port.
fn without_port(host: &str) -> Option<&str> {
    let end = match host.find(']') {
        Some(bracket) => bracket + 1,
        None => host.find(':').unwrap_or(host.len()),
    };
    let (name, port) = host.split_at(end);
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (port.is_empty() || port.strip_prefix(':').is_some_and(digits)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_leads_outside() {
        for url in [
            "/../etc/passwd",
            "/images/../../plan.json",
            "/images/..%2f..%2fplan.json",
            "/images/%2e%2e/plan.json",
            "/file/../1",
            "/file/1/../../etc/passwd",
            "/file/-1",
            "/file/+1",
            "/file/",
            "/tiles/1/2/3_4.jpg/../../../x",
            "/tiles/1/../3_4.jpg",
            "/tiles/1/2/..\\3_4.jpg",
            "/tiles/1/2/3_4.png",
            "/data/run.js",
            "/data/../run.json",
            "//etc/passwd",
            "/plan.json",
            "/events.jsonl",
            "http://127.0.0.1/",
            "index.html",
            "/index.html\0",
            "/file/99999999999999999999999999",
            "",
        ] {
            assert_eq!(Route::parse(url), None, "{url}");
        }
    }

    #[test]
    fn the_addresses_of_the_page_lead_where_they_say() {
        assert_eq!(Route::parse("/"), Some(Route::Asset(0)));
        assert_eq!(Route::parse("/index.html?x"), Some(Route::Asset(0)));
        assert_eq!(Route::parse("/data/run.json?since=7"), Some(Route::Run(Some(7))));
        assert_eq!(Route::parse("/data/picture-3.json"), Some(Route::Picture(3, None)));
        assert_eq!(
            Route::parse("/images/level-3-1-view.jpg?v=9"),
            Some(Route::Image(Subject::Level(3, 1), Scale::View))
        );
        assert_eq!(
            Route::parse("/tiles/3/12/4_5.jpg"),
            Some(Route::Tile { job: 3, level: 12, column: 4, row: 5 })
        );
        assert_eq!(Route::parse("/tiles/3/ready.json"), Some(Route::Ready(3)));
    }

    #[test]
    fn names_of_other_hosts_are_refused() {
        let here = Access { address: IpAddr::from([127, 0, 0, 1]) };
        let everywhere = Access { address: IpAddr::from([0, 0, 0, 0]) };
        for host in ["127.0.0.1:8417", "localhost:8417", "LOCALHOST", "[::1]:80", "127.0.0.1"] {
            assert!(here.allows_host(host), "{host}");
        }
        for host in [
            "evil.example:8417",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "127.0.0.1:8417@evil.example",
            "evil.example@127.0.0.1",
            "",
            ":8417",
            "127.0.0.1:",
        ] {
            assert!(!here.allows_host(host), "{host}");
            assert!(!everywhere.allows_host(host), "{host}");
        }
        assert!(!here.allows_host("192.168.1.7:8417"));
        assert!(everywhere.allows_host("192.168.1.7:8417"));
    }

    #[test]
    fn pages_of_other_sites_may_lead_here_and_load_nothing() {
        assert!(Access::allows_site(None, None), "a program");
        assert!(Access::allows_site(Some("same-origin"), Some("cors")));
        assert!(Access::allows_site(Some("cross-site"), Some("navigate")));
        assert!(!Access::allows_site(Some("cross-site"), Some("no-cors")));
        assert!(!Access::allows_site(Some("same-site"), Some("no-cors")), "another port");
    }
}
