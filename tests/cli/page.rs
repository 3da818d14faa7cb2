//! The page of a run: the folder that `report` writes, and the server of `view` as a browser, and one
//! who means harm, meet it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::folder::{Folder, RESULT};
use crate::runs::run_directory;

/// A name that is a fault of every page that takes it for HTML.
#[cfg(unix)]
const EVIL: &str = "<img src=x onerror=alert(1)>\"'&.png";

/// `impasto view` at a free port, stopped when it is dropped.
struct View {
    process: Child,
    address: String,
}

/// An answer: status, head and body.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

impl View {
    fn of(folder: &Folder, run: &str) -> Self {
        let mut command = folder.process(&["view", run, "--port", "0"]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").and_then(|line| line.strip_suffix('/'));
        let address = address.unwrap_or_else(|| panic!("an address: {line}")).to_owned();
        Self { process, address }
    }

    /// Sends bytes as they are, and reads to the end.
    fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end =
            bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
        let body = bytes.split_off(end);
        let head = String::from_utf8(bytes).unwrap();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Answer { status, head, body }
    }

    fn request(&self, method: &str, path: &str, headers: &[&str]) -> Answer {
        let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let host = &self.address;
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"
        ))
    }

    fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[])
    }

    fn run(&self) -> Value {
        self.get("/data/run.json").json()
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A run that is finished.
fn finished() -> Folder {
    let folder = Folder::new();
    folder.call(&["run", "pipeline.toml"]).exits(0);
    folder
}

/// Every file of a folder with its bytes and the time of its last change.
fn state(folder: &Path) -> Vec<(String, Vec<u8>, SystemTime)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(state(&path));
        } else {
            let changed = path.metadata().unwrap().modified().unwrap();
            found.push((path.display().to_string(), std::fs::read(&path).unwrap(), changed));
        }
    }
    found.sort();
    found
}

#[cfg(unix)]
#[test]
fn a_report_is_a_light_folder_that_holds_every_name_as_text() {
    let folder = Folder::new();
    std::fs::rename(folder.path("photo.png"), folder.path(EVIL)).unwrap();
    let pipeline = std::fs::read_to_string(folder.path("pipeline.toml")).unwrap();
    folder.write("pipeline.toml", pipeline.replace("\"photo.png\"", "[\"*onerror*.png\"]"));
    folder.call(&["run", "pipeline.toml", "--set", "output.name={content}-done.png"]).exits(0);
    let report = folder.call(&["report", "out", "--out", "shown"]).exits(0);
    assert_eq!(report.out.trim(), "shown/index.html");
    assert_eq!(report.err, "");
    let names = folder.names("shown");
    assert_eq!(
        names,
        ["chart.js", "data", "images", "index.html", "page.css", "page.js", "viewer.js"]
    );
    let own: u64 = names
        .iter()
        .filter_map(|name| folder.path("shown").join(name).metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .map(|about| about.len())
        .sum();
    assert!(own < 300_000, "{own} bytes");
    let page = std::fs::read_to_string(folder.path("shown/index.html")).unwrap();
    assert!(!page.contains("onerror"), "{page}");
    for script in ["page.js", "viewer.js", "chart.js"] {
        let text = std::fs::read_to_string(folder.path("shown").join(script)).unwrap();
        for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!text.contains(way), "{script} reads text as HTML by {way}");
        }
    }
    let data = std::fs::read_to_string(folder.path("shown/data/run.js")).unwrap();
    let json = data.strip_prefix("impasto.take(\"run\", ").unwrap().strip_suffix(");\n").unwrap();
    let run: Value = serde_json::from_str(json).unwrap();
    assert_eq!(run["pictures"][0]["content"], EVIL);
    assert_eq!(run["pictures"][0]["state"], "finished");
    let data = std::fs::read_to_string(folder.path("shown/data/picture-0.js")).unwrap();
    let json =
        data.strip_prefix("impasto.take(\"picture-0\", ").unwrap().strip_suffix(");\n").unwrap();
    let picture: Value = serde_json::from_str(json).unwrap();
    let zoom = picture["zoom"]["url"].as_str().unwrap();
    assert!(zoom.starts_with("../out/") && !zoom.contains(['<', '"', '\'', ' ', '&']), "{zoom}");
    for name in ["content-0-view.jpg", "result-0-thumb.jpg", "style-0-0-thumb.jpg"] {
        let thumb = image::open(folder.path("shown/images").join(name)).expect(name);
        assert!(thumb.width() > 60, "{name}");
    }
}

#[test]
fn the_recipe_of_a_report_makes_the_same_picture_again() {
    let folder = finished();
    folder.call(&["report", "pipeline.toml", "--out", "shown"]).exits(0);
    let data = std::fs::read_to_string(folder.path("shown/data/picture-0.js")).unwrap();
    let json = data.split_once(", ").unwrap().1.strip_suffix(");\n").unwrap();
    let picture: Value = serde_json::from_str(json).unwrap();
    folder.write("again.toml", picture["recipe"].as_str().unwrap());
    folder.call(&["run", "again.toml", "--set", "output.directory=again"]).exits(0);
    let bytes = |path: &str| image::open(folder.path(path)).unwrap().to_rgb8().into_raw();
    assert_eq!(bytes("again/photo-painting.png"), bytes(RESULT));
    let larger = picture["larger"].as_str().unwrap();
    let words: Vec<&str> = larger.split(' ').skip(1).collect();
    folder.call(&words).exits(0);
    assert_eq!(image::open(folder.path("out-larger/photo-painting.png")).unwrap().width(), 192);
}

#[test]
fn a_report_is_written_again_and_never_over_something_else() {
    let folder = finished();
    let run = run_directory(&folder);
    let first = folder.call(&["report", "out"]).exits(0).out;
    assert_eq!(
        folder.path(first.trim()).canonicalize().unwrap(),
        run.join("report/index.html").canonicalize().unwrap()
    );
    folder.call(&["report", "out"]).exits(0);
    folder.write("mine/letter.txt", "dear");
    folder.call(&["report", "out", "--out", "mine"]).exits(4).one_line(&["mine", "--out"]);
    assert_eq!(folder.names("mine"), ["letter.txt"]);
    folder.call(&["report", "nowhere"]).exits(4).one_line(&["nowhere"]);
}

#[test]
fn the_view_answers_its_own_addresses_and_nothing_else() {
    let folder = finished();
    let view = View::of(&folder, "out");
    assert!(view.address.starts_with("127.0.0.1:"), "{}", view.address);
    let page = view.get("/");
    assert_eq!(page.status, 200);
    let head = page.head.to_lowercase();
    for header in [
        "content-security-policy: default-src 'none'; script-src 'self';",
        "frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "referrer-policy: no-referrer",
        "cross-origin-resource-policy: same-origin",
        "content-type: text/html",
    ] {
        assert!(head.contains(header), "no `{header}` in {head}");
    }
    assert!(!head.contains("access-control-allow"), "{head}");
    for (path, magic) in [
        ("/images/result-0-thumb.jpg", &b"\xff\xd8"[..]),
        ("/images/content-0-view.jpg?v=1", b"\xff\xd8"),
        ("/images/style-0-0-thumb.jpg", b"\xff\xd8"),
        ("/file/0", b"\x89PNG"),
        ("/page.js", b"//"),
    ] {
        let answer = view.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body.starts_with(magic), "{path}");
    }
    let run = view.run();
    assert_eq!((&run["state"], &run["live"]), (&"finished".into(), &true.into()));
    let version = run["version"].as_u64().unwrap();
    assert_eq!(view.get(&format!("/data/run.json?since={version}")).status, 204);
    let picture = view.get("/data/picture-0.json").json();
    assert_eq!(picture["curve"]["evaluation"].as_array().unwrap().last(), Some(&4.into()));
    let full = view.get("/page.js");
    let head = view.request("HEAD", "/page.js", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(head.head.contains(&full.body.len().to_string()), "{}", head.head);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "X"] {
        let answer = view.request(method, "/", &["Content-Length: 0"]);
        assert_eq!(answer.status, 405, "{method}");
    }
    for job in ["1", "7", "99999999999"] {
        assert_eq!(view.get(&format!("/data/picture-{job}.json")).status, 404);
        assert_eq!(view.get(&format!("/images/result-{job}-thumb.jpg")).status, 404);
        assert_eq!(view.get(&format!("/file/{job}")).status, 404);
    }
}

#[test]
fn no_path_leads_out_of_the_view() {
    let folder = finished();
    folder.write("secret.txt", "a secret");
    let view = View::of(&folder, "out");
    for path in [
        "/../secret.txt",
        "/../../../../../../../../etc/passwd",
        "/..%2f..%2fsecret.txt",
        "/%2e%2e/%2e%2e/secret.txt",
        "/images/../../secret.txt",
        "/images/..%5c..%5csecret.txt",
        "/file/../../secret.txt",
        "/file/0/../../secret.txt",
        "/file//etc/passwd",
        "//etc/passwd",
        "/tiles/0/../../secret.txt",
        "/tiles/0/0/../../../secret.txt",
        "/tiles/0/0/0_0.jpg",
        "/data/../../plan.json",
        "/plan.json",
        "/events.jsonl",
        "/.impasto/",
        "/out/",
        "file:///etc/passwd",
    ] {
        let answer = view.get(path);
        assert!(matches!(answer.status, 404 | 400), "{path}: {}", answer.status);
        let body = String::from_utf8_lossy(&answer.body);
        assert!(!body.contains("secret") && !body.contains("root:"), "{path}: {body}");
    }
}

#[cfg(unix)]
#[test]
fn a_picture_that_is_a_link_to_something_else_is_not_served() {
    let folder = finished();
    let secret = folder.path("photo.png");
    std::fs::remove_file(folder.path(RESULT)).unwrap();
    std::os::unix::fs::symlink(secret, folder.path(RESULT)).unwrap();
    let view = View::of(&folder, "out");
    assert_eq!(view.get("/file/0").status, 404, "it lies outside the output directory");
    std::fs::remove_file(folder.path(RESULT)).unwrap();
    folder.write(RESULT, "no picture");
    assert_eq!(view.get("/file/0").status, 404, "it is no picture");
}

#[test]
fn other_hosts_and_other_sites_are_refused() {
    let folder = finished();
    let view = View::of(&folder, "out");
    let ask = |headers: &str| {
        view.raw(&format!("GET /data/run.json HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"))
    };
    let port = view.address.rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "localhost", "LocalHost", "[::1]"] {
        assert_eq!(ask(&format!("Host: {host}:{port}\r\n")).status, 200, "{host}");
    }
    for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.0.1"]
    {
        let answer = ask(&format!("Host: {host}:{port}\r\n"));
        assert_eq!(answer.status, 421, "{host}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("pipeline"));
    }
    assert_eq!(ask("").status, 421, "no host");
    let twice = format!("Host: 127.0.0.1:{port}\r\nHost: evil.example\r\n");
    assert_eq!(ask(&twice).status, 421, "two hosts");
    let host = format!("Host: 127.0.0.1:{port}\r\n");
    for (site, mode, status) in [
        ("same-origin", "cors", 200),
        ("none", "navigate", 200),
        ("cross-site", "navigate", 200),
        ("cross-site", "no-cors", 403),
        ("cross-site", "cors", 403),
        ("same-site", "no-cors", 403),
    ] {
        let headers = format!("{host}Sec-Fetch-Site: {site}\r\nSec-Fetch-Mode: {mode}\r\n");
        assert_eq!(ask(&headers).status, status, "{site} {mode}");
    }
}

#[test]
fn a_run_is_watched_to_its_end_and_not_touched() {
    let folder = Folder::new();
    let arguments = ["run", "pipeline.toml", "--set", "output.long-side-px=192", "--set"];
    let arguments = [&arguments[..], &["pyramid.evaluations=[150, 60]"]].concat();
    let mut run =
        folder.process(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while folder.call(&["status", "out"]).code != Some(0) {
        assert!(started.elapsed() < Duration::from_secs(60), "no run directory");
    }
    let view = View::of(&folder, "pipeline.toml");
    let (mut seen, mut previews) = (vec![], 0);
    let end = loop {
        let now = view.run();
        seen.push(now["pictures"][0]["totalEvaluations"].as_u64().unwrap());
        let picture = view.get("/data/picture-0.json").json();
        if picture["levels"][0]["view"].is_string() {
            assert_eq!(view.get("/images/level-0-0-thumb.jpg").status, 200);
            previews += 1;
        }
        if now["state"] != "running" {
            break now;
        }
        assert!(started.elapsed() < Duration::from_secs(300), "{now}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(run.wait().unwrap().success());
    assert_eq!(end["state"], "finished", "{end}");
    assert!(seen.is_sorted(), "{seen:?}");
    let steps: std::collections::BTreeSet<u64> = seen.iter().copied().collect();
    assert!(steps.len() > 3, "it is seen to advance: {steps:?}");
    assert_eq!(seen.last(), Some(&210));
    assert!(previews > 0, "the first level's preview");
    let before = state(&run_directory(&folder));
    for path in ["/data/run.json", "/images/result-0-view.jpg", "/file/0", "/tiles/0/ready.json"] {
        assert_eq!(view.get(path).status, 200, "{path}");
    }
    assert_eq!(state(&run_directory(&folder)), before, "the run directory is as it was");
}

#[test]
fn a_torn_end_waits_and_a_killed_run_is_shown_as_interrupted() {
    let folder = Folder::new();
    let arguments = ["run", "pipeline.toml", "--set", "pyramid.evaluations=100000"];
    let mut run =
        folder.process(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while folder.call(&["status", "out"]).code != Some(0) {
        assert!(started.elapsed() < Duration::from_secs(60), "no run directory");
    }
    let view = View::of(&folder, "out");
    while view.run()["pictures"][0]["totalEvaluations"].as_u64() < Some(3) {
        assert!(started.elapsed() < Duration::from_secs(120), "{}", view.run());
    }
    assert_eq!(view.run()["state"], "running");
    run.kill().unwrap();
    run.wait().unwrap();
    let killed = Instant::now();
    while view.run()["state"] == "running" {
        assert!(killed.elapsed() < Duration::from_secs(2), "its death shows within two seconds");
    }
    let events = run_directory(&folder).join("events.jsonl");
    let mut file = std::fs::OpenOptions::new().append(true).open(&events).unwrap();
    file.write_all(b"{\"n\":999,\"at\":17640").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let run = view.run();
    assert_eq!((&run["state"], &run["problem"]), (&"interrupted".into(), &Value::Null));
    assert_eq!(run["pictures"][0]["state"], "interrupted");
    assert!(run["resume"].as_str().unwrap().starts_with("impasto run "), "{run}");
    file.write_all(b"\n{\"n\":1000}\n").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(view.run()["state"], "interrupted", "the damage is after the last whole line");
}

#[test]
fn a_print_that_no_browser_shows_is_cut_into_tiles() {
    let folder = Folder::new();
    let name = ["--set", "output.name=print.tif", "--set", "output.long-side-px=600"];
    let fast = ["--set", "pyramid.evaluations=1"];
    folder.call(&[&["run", "pipeline.toml"][..], &name, &fast].concat()).exits(0);
    let view = View::of(&folder, "out");
    let picture = view.get("/data/picture-0.json").json();
    assert_eq!(picture["zoom"]["kind"], "tiles");
    assert_eq!(picture["zoom"]["ask"], true);
    assert_eq!(view.get("/file/0").status, 404, "a TIFF is of no use to a browser");
    assert_eq!(view.get("/tiles/0/10/0_0.jpg").status, 404, "not cut yet");
    let asked = Instant::now();
    while view.get("/tiles/0/ready.json").json()["ready"] != true {
        assert!(asked.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(50));
    }
    let tile = image::load_from_memory(&view.get("/tiles/0/10/2_1.jpg").body).unwrap();
    assert_eq!((tile.width(), tile.height()), (93, 147), "the last tile of 600x400 px");
    assert_eq!(view.get("/tiles/0/10/3_0.jpg").status, 404);
    folder.call(&["report", "out", "--out", "shown"]).exits(0);
    assert!(folder.path("shown/tiles/0/picture_files/10/2_1.jpg").is_file());
}

#[test]
fn the_view_ends_with_its_signal_and_leaves_nothing() {
    let folder = finished();
    let temporary = folder.path("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let mut command = folder.process(&["view", "out", "--port", "0"]);
    command.env("TMPDIR", &temporary);
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(std::fs::read_dir(&temporary).unwrap().next().is_some());
    #[cfg(unix)]
    {
        let pid = rustix::process::Pid::from_child(&process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(process.wait().unwrap().success());
        assert!(std::fs::read_dir(&temporary).unwrap().next().is_none());
    }
    #[cfg(not(unix))]
    process.kill().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    folder.call(&["view", "out", "--port", &port]).exits(4).one_line(&[&port, "--port 0"]);
}

/// Makes a run of `count` pictures of one that is finished: its job and its events again and again.
/// Their files are not there.
fn multiply(run: &Path, count: usize) {
    let plan = run.join("plan.json");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&plan).unwrap()).unwrap();
    let job = record["jobs"][0].clone();
    let copies = (0..count).map(|index| {
        let mut job = job.clone();
        job["index"] = index.into();
        job["number"] = (index + 1).into();
        job["name"] = format!("copy-{index}.png").into();
        job["content"] = format!("photo-{index}.png").into();
        job["output"] = format!("out/copy-{index}.png").into();
        job
    });
    record["jobs"] = copies.collect();
    std::fs::write(&plan, serde_json::to_vec(&record).unwrap()).unwrap();
    let events = std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    let lines: Vec<Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_job = |line: &&Value| line["record"]["event"]["job"].is_number();
    let first = lines.iter().filter(|line| !of_job(line)).map(|line| line["record"].clone());
    let mut records: Vec<Value> = first.collect();
    for index in 0..count {
        for line in lines.iter().filter(of_job) {
            let mut record = line["record"].clone();
            record["event"]["job"] = index.into();
            let evaluated = record["event"]["event"] == "evaluated";
            if record["event"]["path"].is_string() {
                record["event"]["path"] = format!("out/copy-{index}.png").into();
            }
            // A picture of some minutes.
            records.extend(std::iter::repeat_n(record, if evaluated { 60 } else { 1 }));
        }
    }
    let mut text = String::new();
    for (n, record) in records.iter().enumerate() {
        let body = format!("{{\"n\":{n},\"at\":1764000000.000,\"record\":{record}");
        let crc = crc32fast::hash(body.as_bytes());
        text.push_str(&format!("{body},\"crc\":\"{crc:08x}\"}}\n"));
    }
    std::fs::write(run.join("events.jsonl"), text).unwrap();
}

#[test]
fn a_thousand_pictures_are_reported_in_seconds_and_viewed_in_little_memory() {
    let folder = finished();
    let run = run_directory(&folder);
    multiply(&run, 1000);
    let started = Instant::now();
    folder.call(&["report", "out", "--out", "shown"]).exits(0);
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(std::fs::read_dir(folder.path("shown/data")).unwrap().count(), 1001);
    let view = View::of(&folder, "out");
    let asked = Instant::now();
    assert_eq!(view.run()["pictures"].as_array().unwrap().len(), 1000);
    let answer = asked.elapsed().as_secs_f64();
    for job in [0, 500, 999] {
        assert_eq!(view.get(&format!("/data/picture-{job}.json")).status, 200);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", view.process.id()));
    let kib = |name: &str| -> Option<u64> {
        let line = status.as_ref().ok()?.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let events = run.join("events.jsonl").metadata().unwrap().len();
    println!(
        "{} MB of events: report {seconds:.2} s, answer {answer:.3} s, view {:?} KiB, at most {:?} KiB",
        events / 1_000_000,
        kib("VmRSS:"),
        kib("VmHWM:")
    );
    #[cfg(target_os = "linux")]
    assert!(kib("VmHWM:") < Some(50_000), "{:?} KiB", kib("VmHWM:"));
    assert!(seconds < 10.0, "{seconds} s");
    assert!(answer < 1.0, "{answer} s");
}
