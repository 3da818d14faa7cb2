//! The page of a run in a real browser: headless Chromium, driven by its WebDriver.
//!
//! Where there is no `chromedriver` (Debian: `apt-get install chromium chromium-driver`) the tests say
//! so and end. Screenshots are left in `target/tmp/page`, to be looked at.

#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

#[path = "../cli/folder.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod folder;
mod window;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use folder::Folder;
use serde_json::json;
use window::{Look, Window};

/// Two variants, two levels, and a photograph whose name is a fault of every page that takes it for
/// HTML.
fn two_pictures(evaluations: &str) -> Folder {
    let folder = Folder::new();
    let evil = "photos/<img src=x onerror=\"document.title='broken'\">.png";
    folder.write(evil, std::fs::read(folder.path("photo.png")).unwrap());
    folder.write(
        "pipeline.toml",
        format!(
            r#"
            input.content = "photos/*.png"
            style.image = "painting.png"
            output = {{ directory = "out", long-side-px = 192, name = "picture-{{variant}}.png" }}
            objective = {{ preset = "gatys", content-layers = ["relu2_1"], style-layers = ["relu1_1", "relu2_1"] }}
            pyramid = {{ short-side-px = 64, evaluations = {evaluations} }}
            compute.threads = 1
            batch.parallel-jobs = 1
            [[variant]]
            name = "soft"
            objective.content-weight = 5.0
            [[variant]]
            name = "wild"
            objective.content-weight = 0.5
            "#
        ),
    );
    folder
}

/// A process that is killed when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `impasto view` of `run`, and its address.
fn view(folder: &Folder, run: &str) -> (Process, String) {
    let mut command = folder.process(&["view", run, "--port", "0"]);
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Process(process), line.trim().to_owned())
}

#[test]
fn a_report_opens_from_the_disk_and_compares_zooms_and_draws() {
    let Some(window) = Window::open(Look { dark: false, width: 1280, height: 1500 }) else {
        return;
    };
    let folder = two_pictures("[12, 6]");
    folder.call(&["run", "pipeline.toml"]).exits(0);
    folder.call(&["report", "out", "--out", "report"]).exits(0);
    let page = folder.path("report/index.html");
    window.goto(&format!("file://{}", page.display()));

    window.until("two cards", "return document.querySelectorAll('.card').length === 2");
    window.until("every thumbnail", ALL_LOADED);
    assert_eq!(window.run("return document.title"), "pipeline.toml · impasto", "no name is HTML");
    let small = window.run("return document.querySelector('.from img').alt");
    assert!(small.as_str().unwrap().contains("<img src=x onerror"), "{small}");
    assert_eq!(window.run("return document.querySelector('.badge').textContent"), "finished");
    window.screenshot("sheet-light");
    window.run("const s = [...document.querySelectorAll('select')].find(s => [...s.options].some(o => o.value === 'wild'));
        s.value = 'wild'; s.dispatchEvent(new Event('change'))");
    window.until("one card", "return document.querySelectorAll('.card').length === 1");

    window.run("location.hash = '#/0'");
    window.until("curves", "return document.querySelectorAll('.chart path').length > 1");
    window.until("both sides", "return document.querySelectorAll('.plane .base').length === 2");
    window.until(
        "the filmstrip: photograph, level, result",
        "return document.querySelectorAll('.strip button').length >= 3",
    );
    let nothing = window.run("return /null|undefined|NaN/.test(document.body.innerText)");
    assert_eq!(nothing, false, "a value that is not there is not shown");
    assert_eq!(window.run("return document.querySelectorAll('.chart .mark').length"), 2, "levels");
    let path = "return document.querySelector('.chart path.total').getAttribute('d')";
    let over_evaluations = window.run(path);
    window.click("seconds");
    let over_seconds = window.run(path);
    assert_ne!(over_evaluations, over_seconds);
    window.click("linear");
    assert_ne!(window.run(path), over_seconds);
    window.run("document.querySelector('.tools input[type=checkbox]').click()");
    assert_eq!(window.run("return document.querySelector('.chart path.total')"), json!(null));

    let cut = "return document.querySelector('.layer.right').style.clipPath";
    let middle = window.run(cut);
    window.drag(".stage", -0.3);
    let moved = window.run(cut);
    assert_ne!(moved, middle, "the slider moves");
    let zoom = || -> f64 {
        let text = window.run("return document.querySelector('.zoomed').textContent");
        text.as_str().unwrap().trim_end_matches(" %").parse().unwrap()
    };
    let whole = zoom();
    window.keys("++");
    assert!(zoom() > 1.9 * whole, "{} after {whole}", zoom());
    window.run("document.querySelector('.stage').style.height = '60px'");
    window.keys("0");
    window.click("1:1");
    assert_eq!(zoom(), 100.0, "one pixel on one pixel");
    window.run("document.querySelector('.stage').style.height = ''");
    window.keys("0");
    window.until("the picture's own pixels", "return [...document.querySelectorAll('.layer.right img.full')].some(i => i.naturalWidth === 192)");
    window.screenshot("picture-light");
    window.run("[...document.querySelectorAll('summary')].forEach(s => s.click())");
    let recipe =
        window.run("return [...document.querySelectorAll('pre')].map(p => p.textContent).join()");
    assert!(recipe.as_str().unwrap().contains("content-weight = 5.0"), "{recipe}");

    // The choice of variants is `wild` still, so the next picture is the only other one.
    window.run("location.hash = '#/1'");
    window.until(
        "the other picture",
        "return document.querySelector('#main strong')?.textContent === 'picture-wild.png'",
    );
    window.run("const s = document.querySelector('.row select'); s.value = 'job-0'; s.dispatchEvent(new Event('change'))");
    window.until(
        "variant against variant",
        "return document.querySelector('.side.left').textContent === 'soft'",
    );
    window.run("window.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }))");
    window.until("the sheet", "return document.querySelectorAll('.card').length === 1");
}

#[test]
fn the_page_is_at_home_in_the_dark_and_on_a_telephone() {
    let folder = two_pictures("[6, 3]");
    folder.call(&["run", "pipeline.toml"]).exits(0);
    folder.call(&["report", "out", "--out", "report"]).exits(0);
    let page = format!("file://{}", folder.path("report/index.html").display());
    let looks = [
        ("phone-dark", true, 500, 900),
        ("phone-light", false, 500, 900),
        ("wide-dark", true, 1900, 1200),
    ];
    for (name, dark, width, height) in looks {
        let Some(window) = Window::open(Look { dark, width, height }) else { return };
        window.goto(&page);
        window.until("two cards", "return document.querySelectorAll('.card').length === 2");
        window.until("every thumbnail", ALL_LOADED);
        let background = window.run("return getComputedStyle(document.body).backgroundColor");
        assert_eq!(background, if dark { "rgb(22, 23, 26)" } else { "rgb(246, 245, 242)" });
        window.screenshot(&format!("sheet-{name}"));
        window.run("location.hash = '#/0'");
        window.until("both sides", "return document.querySelectorAll('.plane .base').length === 2");
        let beyond = window.run(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth",
        );
        assert_eq!(beyond, 0, "{name}: nothing lies beyond the window");
        window.screenshot(&format!("picture-{name}"));
    }
}

#[test]
fn a_run_is_watched_from_its_middle_to_its_end_without_reloading() {
    let Some(window) = Window::open(Look { dark: false, width: 1280, height: 1000 }) else {
        return;
    };
    let folder = two_pictures("[300, 120]");
    let mut command = folder.process(&["run", "pipeline.toml"]);
    let run = Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let started = Instant::now();
    while folder.call(&["status", "out"]).code != Some(0) {
        assert!(started.elapsed() < Duration::from_secs(60), "no run directory");
    }
    let (server, address) = view(&folder, "pipeline.toml");
    window.goto(&format!("{address}#/0"));
    window.until("curves", "return document.querySelectorAll('.chart path').length > 0");
    window.run("window.same = true");
    let points = "return Number(document.querySelector('.chart path')?.dataset.points)";
    let before = window.run(points).as_f64().unwrap();
    window.until(
        "the curve to grow",
        &format!("return Number(document.querySelector('.chart path')?.dataset.points) > {before}"),
    );
    // What the journal says is on the page within two seconds.
    let status: serde_json::Value =
        serde_json::from_str(&folder.call(&["status", "out", "--json"]).out).unwrap();
    let (level, at) = (&status["jobs"][0]["level"], &status["jobs"][0]["evaluation"]);
    let asked = Instant::now();
    let there = format!("const t = document.querySelector('#main .tools').textContent, m = /level (\\d+)\\/\\d+, evaluation (\\d+)/.exec(t);
        return !m || m[1] - 1 > {level} || (m[1] - 1 === {level} && Number(m[2]) >= {at})");
    window.until("the newest evaluation", &there);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    window.until("the first level in the filmstrip", "return [...document.querySelectorAll('.strip button')].some(b => b.textContent.startsWith('level 1'))");
    window.until(
        "the first level beside the photograph",
        "return document.querySelector('.layer.right img.base')?.src.includes('level-0-0')",
    );
    window.screenshot("live");
    window.until(
        "the finished picture",
        "return document.querySelector('#main .badge').textContent === 'finished'",
    );
    window.run("location.hash = '#/'");
    window.until(
        "the whole run",
        "return document.querySelector('#run .badge').textContent === 'finished'",
    );
    assert_eq!(window.run("return window.same"), true, "nothing was reloaded");
    drop(run);
    drop(server);
    window.until(
        "the end of the view",
        "return document.querySelector('#run .badge').textContent === 'the view has stopped'",
    );
}

#[test]
fn a_print_is_zoomed_to_its_pixels_through_tiles() {
    let Some(window) = Window::open(Look { dark: false, width: 900, height: 1000 }) else { return };
    let folder = two_pictures("1");
    let overrides = ["--set", "output.name={variant}.tif", "--set", "output.long-side-px=1200"];
    folder.call(&[&["run", "pipeline.toml"][..], &overrides].concat()).exits(0);
    folder.call(&["report", "out", "--out", "report"]).exits(0);
    let (_server, live) = view(&folder, "out");
    let disk = format!("file://{}", folder.path("report/index.html").display());
    for page in [live, disk] {
        window.goto(&format!("{page}#/0"));
        window.until("both sides", "return document.querySelectorAll('.plane .base').length === 2");
        assert_eq!(window.run("return document.querySelectorAll('img.tile').length"), 0, "{page}");
        window.keys("++++++");
        window.until(
            "tiles",
            "const all = [...document.querySelectorAll('.layer.right img.tile')];
             return all.length > 0 && all.every(tile => tile.dataset.ready)",
        );
        // Every tile lies where its name says, at its own size, and the window is covered.
        let faults = window.run(
            "const stage = document.querySelector('.stage').getBoundingClientRect();
             const zero = document.querySelector('.layer.right .base').getBoundingClientRect();
             let covered = 0;
             const wrong = [...document.querySelectorAll('.layer.right img.tile')].filter(tile => {
               const [, level, column] = /(\\d+)\\/(\\d+)_\\d+\\.jpg/.exec(tile.src), box = tile.getBoundingClientRect();
               covered = Math.max(covered, box.right);
               const left = zero.left + (column * 254 - (column > 0 ? 1 : 0)) * 2 ** (11 - level) * zero.width / 1200;
               return Math.abs(box.left - left) > 1 || tile.naturalWidth > 256;
             });
             return wrong.length + (covered >= Math.min(stage.right, zero.right) - 1 ? 0 : 100)",
        );
        assert_eq!(faults, 0, "{page}");
        window.screenshot("tiles");
    }
}

#[test]
fn a_name_that_leads_here_from_elsewhere_shows_nothing() {
    let Some(window) = Window::open(Look { dark: false, width: 800, height: 600 }) else { return };
    let folder = two_pictures("1");
    folder.call(&["run", "pipeline.toml"]).exits(0);
    let (_server, address) = view(&folder, "out");
    window.goto(&address);
    window.until("two cards", "return document.querySelectorAll('.card').length === 2");
    // Chromium is told that this name is this machine, as a rebound DNS entry would say it.
    window.goto(&address.replace("127.0.0.1", "rebound.example"));
    let text = window.run("return document.documentElement.textContent");
    assert!(text.as_str().unwrap().contains("not served under that name"), "{text}");
    // A page of another site finds no picture and no data here.
    let site = folder.write("other/index.html", "<title>other</title>");
    window.goto(&format!("file://{}", site.display()));
    let found = window.wait_for_script(&format!(
        "const done = arguments[0], image = new Image();
         image.onload = () => done('an image'); image.onerror = () =>
           fetch('{address}data/run.json').then(() => done('data'), () => done('nothing'));
         image.src = '{address}images/result-0-thumb.jpg'"
    ));
    assert_eq!(found, "nothing");
}

/// Whether every picture that is on the screen is loaded.
const ALL_LOADED: &str = "return [...document.images].filter(i => !i.hidden && i.getBoundingClientRect().top < innerHeight)
    .every(i => i.complete && i.naturalWidth > 0)";
