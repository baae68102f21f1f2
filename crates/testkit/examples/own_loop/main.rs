//! An adapter written by hand, without a runtime and without a thread, and the suite that it passes.
//!
//! `viewer.rs` is the loop of the README with real sockets, `call.rs` one HTTP call. It knows WebSockets
//! only: a viewer over a stream of events, and a worker, would need `Effect::OpenStream` as well.

mod call;
mod viewer;

use std::process::ExitCode;

use attache_protocol::{viewer::ViewerConfig, worker::WorkerConfig};
use attache_testkit::conformance::{Adapter, OpenViewer, OpenWorker, Place, Side, program};

use viewer::OwnLoop;

struct ByHand;

impl Adapter for ByHand {
    fn name(&self) -> &'static str {
        "by hand"
    }

    fn open_viewer(
        &self,
        config: ViewerConfig,
        place: Place,
    ) -> Result<Box<dyn OpenViewer>, String> {
        let viewer = OwnLoop::open(config, place).map_err(|error| error.to_string())?;
        Ok(Box::new(viewer))
    }

    fn open_worker(
        &self,
        _config: WorkerConfig,
        _place: Place,
    ) -> Result<Box<dyn OpenWorker>, String> {
        Err("viewers over WebSockets only".to_owned())
    }
}

pub(crate) fn main() -> ExitCode {
    program(&[&ByHand], &[Side::ViewerOverSocket])
}
