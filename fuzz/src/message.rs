//! Typed views: they never panic, they lose nothing, and what they can't read they hand back as it came.

use attache_protocol::frame::{
    Frame,
    message::{View, same_json},
};

/// Takes `data` as one frame.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let Ok(frame) = Frame::classify(text.into()) else {
        return;
    };
    let view = frame.view();
    agrees_with_the_narrow_views(&frame, view.as_ref().ok());
    match view {
        Ok(view) => keeps_everything(&frame, &view),
        Err(bad) => {
            assert_eq!(&*bad.text, text);
            let _ = (bad.to_string(), format!("{bad:?}"));
        }
    }
}

fn keeps_everything(frame: &Frame, view: &View<'_>) {
    let written = view.encode();
    assert!(same_json(&written, frame.as_str()), "{written}");
    let again = Frame::classify(written.as_str().into()).expect("what is written can be read");
    assert_eq!(again.kind(), frame.kind());
    assert_eq!(again.uuid(), frame.uuid());
    let again = again.view().expect("and taken apart again");
    assert_eq!(again.unmodelled(), view.unmodelled());
    assert_eq!(again.encode(), written, "the second writing differs");
    for unmodelled in view.unmodelled() {
        let shown = unmodelled.to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }
    let _ = format!("{view:?}");
}

fn agrees_with_the_narrow_views(frame: &Frame, view: Option<&View<'_>>) {
    let is = |wanted: fn(&View<'_>) -> bool| view.is_some_and(wanted);
    assert_eq!(
        frame.as_assistant().is_some(),
        is(|view| matches!(view, View::Assistant(_)))
    );
    assert_eq!(
        frame.as_user().is_some(),
        is(|view| matches!(view, View::User(_)))
    );
    assert_eq!(
        frame.as_result().is_some(),
        is(|view| matches!(view, View::Result(_)))
    );
    assert_eq!(
        frame.as_stream_event().is_some(),
        is(|view| matches!(view, View::StreamEvent(_)))
    );
    assert_eq!(
        frame.as_system().is_some(),
        is(|view| matches!(view, View::System(_)))
    );
}
