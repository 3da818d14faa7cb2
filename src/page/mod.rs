//! The page that shows a run: as a folder that opens from the disk, and live from a small server.
//!
//! Owns what is shown of a run directory, the pictures of the page and its safety. It reads the run
//! without its lock and writes nothing into it but a report that is asked for. The page itself is
//! in `assets`: one document, its style and its scripts, the same for both doors. They build every
//! element by itself and set names as text, so that no name is ever read as HTML.
//!
//! - `curves`: the losses of each picture, from the events.
//! - `model`: the run as the page shows it, in JSON.
//! - `recipe`: the pipeline of one picture, and the commands for it.
//! - `images`: thumbnails, views and tiles, made from what lies on the disk.
//! - `report`: the folder.
//! - `server`, `route`: the live page.

mod curves;
mod images;
mod model;
mod recipe;
mod report;
mod route;
mod server;

pub use model::Page;
pub use recipe::quoted;
pub use report::{Report, ReportError, write_report};
pub use server::Server;

/// The page's own files by name.
const ASSETS: [(&str, &str, &str); 5] = [
    ("index.html", "text/html; charset=utf-8", include_str!("assets/index.html")),
    ("page.css", "text/css; charset=utf-8", include_str!("assets/page.css")),
    ("chart.js", "text/javascript; charset=utf-8", include_str!("assets/chart.js")),
    ("viewer.js", "text/javascript; charset=utf-8", include_str!("assets/viewer.js")),
    ("page.js", "text/javascript; charset=utf-8", include_str!("assets/page.js")),
];
