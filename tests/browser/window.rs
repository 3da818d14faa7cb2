//! A window of headless Chromium.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource, MouseActions, PointerAction};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// How long anything may take to appear.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a window looks.
pub struct Look {
    pub dark: bool,
    pub width: u32,
    pub height: u32,
}

/// A window, closed when it is dropped.
pub struct Window {
    client: Client,
    runtime: Runtime,
    driver: Child,
}

impl Window {
    /// A window; nothing where the machine has no browser for tests, which is said.
    pub fn open(look: Look) -> Option<Self> {
        let driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn();
        let Ok(mut driver) = driver else {
            eprintln!(
                "skipped: there is no chromedriver (Debian: apt-get install chromium chromium-driver)"
            );
            return None;
        };
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            let port = line.split_once("started successfully on port ")?.1;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.expect("chromedriver says its port");
        let Look { dark, width, height } = look;
        let arguments = [
            "--headless=new".to_owned(),
            // A container's root has no sandbox, and little shared memory.
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--force-device-scale-factor=1".to_owned(),
            "--host-resolver-rules=MAP rebound.example 127.0.0.1".to_owned(),
            format!("--window-size={width},{height}"),
            format!("--blink-settings=preferredColorScheme={}", if dark { 0 } else { 1 }),
        ];
        let options = json!({"goog:chromeOptions": {"args": arguments}});
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let capabilities = options.as_object().unwrap().clone();
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities)
                .connect(&format!("http://127.0.0.1:{port}"))
                .await
        });
        Some(Self { client: client.expect("a session"), runtime, driver })
    }

    pub fn goto(&self, url: &str) {
        self.runtime.block_on(self.client.goto(url)).unwrap();
    }

    /// Runs a script in the page.
    pub fn run(&self, script: &str) -> Value {
        self.runtime.block_on(self.client.execute(script, vec![])).unwrap()
    }

    /// Runs a script that calls its argument when it is done.
    pub fn wait_for_script(&self, script: &str) -> Value {
        self.runtime.block_on(self.client.execute_async(script, vec![])).unwrap()
    }

    /// Waits until a script says true.
    #[track_caller]
    pub fn until(&self, what: &str, script: &str) {
        let started = Instant::now();
        while self.run(script) != true {
            if started.elapsed() > PATIENCE {
                self.screenshot("failed");
                panic!(
                    "{what} did not come; the page says: {}",
                    self.run("return document.body.innerText")
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Clicks the button with this text.
    pub fn click(&self, text: &str) {
        let path = format!("//button[normalize-space()='{text}']");
        self.runtime.block_on(async {
            self.client.find(Locator::XPath(&path)).await.unwrap().click().await.unwrap();
        });
    }

    /// Types into the page.
    pub fn keys(&self, keys: &str) {
        self.runtime.block_on(async {
            let focused = self.client.active_element().await.unwrap();
            focused.send_keys(keys).await.unwrap();
        });
    }

    /// Presses the mouse in the middle of an element, moves it aside by a part of its width, and
    /// lets go.
    pub fn drag(&self, selector: &str, part: f64) {
        self.runtime.block_on(async {
            let element = self.client.find(Locator::Css(selector)).await.unwrap();
            let (.., width, _) = element.rectangle().await.unwrap();
            let to = |x: i64| PointerAction::MoveToElement {
                element: element.clone(),
                duration: Some(Duration::from_millis(50)),
                x: x as f64,
                y: 0.0,
            };
            let actions = MouseActions::new("mouse".into())
                .then(to(0))
                .then(PointerAction::Down { button: 0 })
                .then(to((part * width) as i64))
                .then(PointerAction::Up { button: 0 });
            self.client.perform_actions(actions).await.unwrap();
        });
    }

    /// Leaves a picture of the window in `target/tmp/page`.
    pub fn screenshot(&self, name: &str) {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
        std::fs::create_dir_all(&folder).unwrap();
        let png = self.runtime.block_on(self.client.screenshot()).unwrap();
        std::fs::write(folder.join(name).with_extension("png"), png).unwrap();
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(self.client.clone().close());
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
