//! The live page: a small server of a run, for browsers on this machine.
//!
//! It answers GET and HEAD only, for the addresses of [`Route`], and asks who asks ([`Access`]). Its
//! pictures are made when they are asked for, one after the other by one thread, and kept in a
//! temporary folder. The run is read when somebody looks, and never written.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::json;
use tiny_http::{Header, Method, Request, Response, StatusCode};

use super::ASSETS;
use super::images::{Scale, Subject, Zoom, ZoomSource, make_tiles, tiles_in};
use super::model::Page;
use super::route::{Access, Route};
use crate::event::CancellationToken;
use crate::files::canonical;
use crate::image::{Format, Limits, probe};

/// Requests that are answered at once.
const WORKERS: usize = 4;
/// How long a worker waits for a request before it asks whether to stop.
const PATIENCE: Duration = Duration::from_millis(200);
/// Between two readings of the run.
const READ_EVERY: Duration = Duration::from_millis(200);

/// What a page may load, and from where: from here alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The live page of a run, at its address.
pub struct Server {
    http: tiny_http::Server,
    access: Access,
    page: Mutex<(Page, Instant)>,
    /// Why the run can no longer be read, in words.
    problem: Mutex<Option<String>>,
    images: Images,
}

/// The pictures of a page, made when they are asked for.
struct Images {
    folder: tempfile::TempDir,
    limits: Limits,
    /// One thread, so that a run beside it keeps its processors.
    pool: rayon::ThreadPool,
    /// One picture is made at a time: each takes memory.
    making: Mutex<()>,
    /// Jobs whose tiles were asked for, and what became of them.
    tiles: Mutex<HashMap<usize, Tiles>>,
    /// Whether tiles are being cut.
    cutting: AtomicBool,
}

/// Tiles that were asked for.
#[derive(Clone, PartialEq)]
enum Tiles {
    Cutting,
    Ready,
    Failed(String),
}

/// What is sent back.
struct Answer {
    status: u16,
    kind: &'static str,
    /// Seconds for which the browser may keep it.
    age: u32,
    body: Box<dyn Read + Send>,
    length: usize,
}

impl Answer {
    fn bytes(status: u16, kind: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let length = bytes.len();
        Self { status, kind, age: 0, body: Box::new(Cursor::new(bytes)), length }
    }

    fn refusal(status: u16, words: &str) -> Self {
        Self::bytes(status, "text/plain; charset=utf-8", format!("{words}\n"))
    }

    fn missing() -> Self {
        Self::refusal(404, "there is nothing here")
    }

    fn json(value: &impl serde::Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => Self::bytes(200, "application/json", bytes),
            Err(error) => Self::refusal(500, &error.to_string()),
        }
    }

    /// A file, which the browser asks for again each time.
    fn file(path: &Path, kind: &'static str) -> Self {
        let open = || {
            let file = File::open(path)?;
            let length = file.metadata()?.len() as usize;
            io::Result::Ok((file, length))
        };
        match open() {
            Ok((file, length)) => Self { status: 200, kind, age: 0, body: Box::new(file), length },
            Err(_) => Self::missing(),
        }
    }
}

impl Server {
    /// The page at `address`; port 0 takes one that is free. Making pictures may take `limits`.
    ///
    /// # Errors
    /// When the address cannot be had, or there is no temporary folder.
    pub fn bind(page: Page, address: SocketAddr, limits: Limits) -> io::Result<Self> {
        let http = tiny_http::Server::http(address).map_err(|error| {
            error.downcast::<io::Error>().map_or_else(io::Error::other, |error| *error)
        })?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let images = Images {
            folder: tempfile::Builder::new().prefix("impasto-view-").tempdir()?,
            limits,
            pool: pool.map_err(io::Error::other)?,
            making: Mutex::new(()),
            tiles: Mutex::new(HashMap::new()),
            cutting: AtomicBool::new(false),
        };
        let page = Mutex::new((page, Instant::now()));
        let access = Access { address: address.ip() };
        Ok(Self { http, access, page, problem: Mutex::new(None), images })
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.http.server_addr().to_ip()
    }

    /// Answers until a stop is requested.
    pub fn serve(&self, cancellation: &CancellationToken) {
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    while !cancellation.is_cancelled() {
                        if let Ok(Some(request)) = self.http.recv_timeout(PATIENCE) {
                            let answer = self.answer(&request);
                            // A browser that has left needs no answer.
                            let _ = send(request, answer);
                        }
                        self.cut_tiles(cancellation);
                    }
                });
            }
        });
    }

    fn answer(&self, request: &Request) -> Answer {
        let header = |name: &'static str| {
            let mut found = request.headers().iter().filter(move |header| header.field.equiv(name));
            let first = found.next().map(|header| header.value.as_str());
            // Two values are a trick.
            first.filter(|_| found.next().is_none())
        };
        if !matches!(request.method(), Method::Get | Method::Head) {
            return Answer::refusal(405, "accepted are GET and HEAD");
        }
        if !header("Host").is_some_and(|host| self.access.allows_host(host)) {
            return Answer::refusal(421, "this address is not served under that name");
        }
        if !Access::allows_site(header("Sec-Fetch-Site"), header("Sec-Fetch-Mode")) {
            return Answer::refusal(403, "pages of other sites may not load this");
        }
        match Route::parse(request.url()) {
            Some(route) => self.content(route),
            None => Answer::missing(),
        }
    }

    fn content(&self, route: Route) -> Answer {
        match route {
            Route::Asset(number) => {
                let (_, kind, text) = ASSETS[number];
                Answer::bytes(200, kind, text)
            }
            Route::Run(since) => {
                self.read_run();
                let problem = self.problem.lock().clone();
                let page = &self.page.lock().0;
                if problem.is_none() && since == Some(page.version()) {
                    return Answer::bytes(204, "application/json", "");
                }
                let mut overview = page.overview(true);
                overview.problem = problem;
                Answer::json(&overview)
            }
            Route::Picture(job, since) => {
                self.read_run();
                let page = &self.page.lock().0;
                if since == Some(page.version()) {
                    return Answer::bytes(204, "application/json", "");
                }
                let zoom = |job: &crate::plan::JobRecord, source: ZoomSource| match source {
                    ZoomSource::Tiles(_) => Zoom::tiles(format!("tiles/{}/", job.index), false),
                    ZoomSource::Whole(_) => Zoom::Whole { url: format!("file/{}", job.index) },
                    ZoomSource::Uncut(_) => Zoom::tiles(format!("tiles/{}/", job.index), true),
                };
                page.picture(job, &zoom).map_or_else(Answer::missing, |view| Answer::json(&view))
            }
            Route::Image(subject, scale) => self.image(subject, scale),
            Route::File(job) => match self.finished(job) {
                Some(path) => whole(&path),
                None => Answer::missing(),
            },
            Route::Ready(job) => self.ready(job),
            Route::Tile { job, level, column, row } => {
                let Some(folder) = self.tiles(job) else { return Answer::missing() };
                let tile = folder.join(level.to_string()).join(format!("{column}_{row}.jpg"));
                match canonical(&tile).starts_with(canonical(&folder)) {
                    true => Answer::file(&tile, "image/jpeg"),
                    false => Answer::missing(),
                }
            }
        }
    }

    /// Reads what is new of the run, unless it was just read.
    fn read_run(&self) {
        let mut page = self.page.lock();
        if page.1.elapsed() >= READ_EVERY {
            *self.problem.lock() = page.0.advance().err().map(|error| error.to_string());
            page.1 = Instant::now();
        }
    }

    fn image(&self, subject: Subject, scale: Scale) -> Answer {
        let order = self.page.lock().0.order(subject);
        let Some(order) = order else { return Answer::missing() };
        let Images { folder, limits, pool, making, .. } = &self.images;
        let _one = making.lock();
        match pool.install(|| order.make(folder.path(), subject, scale, limits)) {
            // Its address has a stamp.
            Ok(path) => Answer { age: 3600, ..Answer::file(&path, "image/jpeg") },
            Err(error) => Answer::refusal(422, &error.to_string()),
        }
    }

    /// A job's finished picture, which lies in the run's output directory.
    fn finished(&self, job: usize) -> Option<PathBuf> {
        let page = &self.page.lock().0;
        let (job, status) = page.job(job)?;
        let path = canonical(&page.output(job, status)?);
        let run = canonical(&page.run().directory);
        // `<output>/.impasto/<run>`
        let output = run.parent()?.parent()?;
        (path.is_file() && path.starts_with(output)).then_some(path)
    }

    /// The folder of a job's tiles, if they are there.
    fn tiles(&self, job: usize) -> Option<PathBuf> {
        let path = self.finished(job)?;
        let framing = self.page.lock().0.job(job)?.0.framing;
        if let ZoomSource::Tiles(folder) = ZoomSource::of(&path, &framing) {
            return Some(folder);
        }
        let made = self.images.tiles.lock().get(&job) == Some(&Tiles::Ready);
        made.then(|| tiles_in(&self.images.tiles_of(job)))
    }

    /// Whether a job's tiles are there; if not, they are cut from now on.
    fn ready(&self, job: usize) -> Answer {
        if self.tiles(job).is_some() {
            return Answer::json(&json!({"ready": true}));
        }
        if self.finished(job).is_none() {
            return Answer::missing();
        }
        let mut tiles = self.images.tiles.lock();
        match tiles.entry(job).or_insert(Tiles::Cutting) {
            Tiles::Failed(reason) => Answer::refusal(422, reason),
            _ => Answer::json(&json!({"ready": false})),
        }
    }

    /// Cuts the tiles that were asked for, one picture after the other.
    fn cut_tiles(&self, cancellation: &CancellationToken) {
        let Images { limits, pool, tiles, cutting, .. } = &self.images;
        let next = || {
            let tiles = tiles.lock();
            let mut asked = tiles.iter().filter(|(_, state)| **state == Tiles::Cutting);
            asked.next().map(|(job, _)| *job)
        };
        if next().is_none() || cutting.swap(true, Ordering::AcqRel) {
            return;
        }
        while let Some(job) = next().filter(|_| !cancellation.is_cancelled()) {
            let folder = self.images.tiles_of(job);
            let made = match self.finished(job) {
                Some(path) => std::fs::create_dir_all(&folder)
                    .map_err(|error| error.to_string())
                    .and_then(|()| {
                        pool.install(|| make_tiles(&path, &folder, limits))
                            .map_err(|error| error.to_string())
                    }),
                None => Err("the picture is gone".to_owned()),
            };
            let state = made.map_or_else(Tiles::Failed, |()| Tiles::Ready);
            tiles.lock().insert(job, state);
        }
        cutting.store(false, Ordering::Release);
    }
}

impl Images {
    fn tiles_of(&self, job: usize) -> PathBuf {
        self.folder.path().join(format!("tiles-{job}"))
    }
}

/// A finished picture as it is, if it is one that browsers show.
fn whole(path: &Path) -> Answer {
    match probe(path).map(|probe| probe.format) {
        Ok(Format::Png) => Answer::file(path, "image/png"),
        Ok(Format::Jpeg) => Answer::file(path, "image/jpeg"),
        _ => Answer::missing(),
    }
}

fn send(request: Request, answer: Answer) -> io::Result<()> {
    let age = match answer.age {
        0 => "no-store".to_owned(),
        age => format!("private, max-age={age}"),
    };
    let headers = [
        ("Content-Type", answer.kind),
        ("Cache-Control", &age),
        ("Content-Security-Policy", POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ];
    let headers = headers.iter().filter_map(|(name, value)| Header::from_bytes(*name, *value).ok());
    let (status, length) = (StatusCode(answer.status), Some(answer.length));
    let response = Response::new(status, headers.collect(), answer.body, length, None);
    // The length is known, so nothing has to be sent in chunks.
    request.respond(response.with_chunked_threshold(usize::MAX))
}
