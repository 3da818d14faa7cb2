//! Which workers are still there: a device that fails takes its worker with it, and the others go
//! on.

use parking_lot::Mutex;

use crate::network::NetworkError;
use crate::render::error::RenderError;

/// A worker that went away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What it computed on, in words.
    pub device: String,
    /// What the device said.
    pub reason: String,
    /// How many workers are left.
    pub left: usize,
}

/// The workers of an engine by number. All teams of the engine share it: who is gone stays away.
pub(crate) struct DeviceList {
    names: Vec<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    gone: Vec<bool>,
    untold: Vec<Lost>,
}

/// Errors that may be the fault of one device.
pub(crate) trait Fault {
    /// What the device said, if it was a device that failed.
    fn of_device(&self) -> Option<String>;
}

impl Fault for NetworkError {
    fn of_device(&self) -> Option<String> {
        self.is_device_failure().then(|| self.to_string())
    }
}

impl Fault for RenderError {
    fn of_device(&self) -> Option<String> {
        match self {
            RenderError::Network(error) => error.of_device(),
            _ => None,
        }
    }
}

impl DeviceList {
    /// Workers with these names, all there.
    pub(crate) fn new(names: Vec<String>) -> Self {
        let state = State { gone: vec![false; names.len()], untold: vec![] };
        Self { names, state: Mutex::new(state) }
    }

    /// The numbers of those who are there.
    pub(crate) fn present(&self) -> Vec<usize> {
        let state = self.state.lock();
        (0..self.names.len()).filter(|worker| !state.gone[*worker]).collect()
    }

    /// Whether `worker` is gone, now or before, because its device failed, and others are left to
    /// do its work.
    pub(crate) fn lose(&self, worker: usize, error: &impl Fault) -> bool {
        let Some(reason) = error.of_device() else { return false };
        let mut state = self.state.lock();
        let left =
            (0..self.names.len()).filter(|other| *other != worker && !state.gone[*other]).count();
        if left == 0 {
            return false;
        }
        if !std::mem::replace(&mut state.gone[worker], true) {
            state.untold.push(Lost { device: self.names[worker].clone(), reason, left });
        }
        true
    }

    /// Those who went away since this was last asked.
    pub(crate) fn news(&self) -> Vec<Lost> {
        std::mem::take(&mut self.state.lock().untold)
    }
}
