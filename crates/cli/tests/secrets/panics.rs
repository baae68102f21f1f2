//! What panics say. They go to standard error, where nobody holds anything back, and show values by their
//! `Debug`.

use std::{
    fmt::Debug,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    sync::{Mutex, OnceLock},
};

/// Stands in every panic that a test wants, on whichever thread it happens.
pub(crate) const WANTED: &str = "a panic that this test wants";

static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());
static LISTENING: OnceLock<()> = OnceLock::new();

/// From now on, and in the whole process, wanted panics are kept instead of printed.
pub(crate) fn listen() {
    LISTENING.get_or_init(|| {
        let print = panic::take_hook();
        let hear = move |panic: &PanicHookInfo<'_>| {
            let said = panic.to_string();
            if said.contains(WANTED) {
                HEARD.lock().unwrap().push(said);
            } else {
                print(panic);
            }
        };
        panic::set_hook(Box::new(hear));
    });
}

/// What the wanted panics said so far.
pub(crate) fn heard() -> Vec<String> {
    HEARD.lock().unwrap().clone()
}

/// An application that can't go on, and shows `value`.
pub(crate) fn panic_about(value: &impl Debug) {
    provoke(|| panic!("{WANTED}: {value:?}"));
}

/// An application that finds something else than it looked for, and shows both.
pub(crate) fn panic_about_both<T: Debug + PartialEq>(value: &T, other: &T) {
    assert!(value != other);
    provoke(|| assert_eq!(value, other, "{WANTED}"));
}

fn provoke(application: impl FnOnce()) {
    listen();
    let panic = panic::catch_unwind(AssertUnwindSafe(application));
    assert!(panic.is_err());
}
