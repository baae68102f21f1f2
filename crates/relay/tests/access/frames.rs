//! Every frame by everybody, as the documentation's table says.

use attache_protocol::SessionId;
use attache_relay::{Agent, Role};

use crate::{
    people::{Place, Who},
    table::rows,
    world::{Viewer, answer, prompt, request, soon, user},
};

/// A session with an agent that asks something.
struct Asking {
    session: SessionId,
    _agent: Agent,
}

impl Asking {
    async fn on(place: &Place) -> Self {
        let session = place.world.relay.create_session("a test").await.unwrap();
        let agent = place.world.relay.attach_agent(&session).await.unwrap();
        agent.publish(&prompt("p1")).await.unwrap();
        Self {
            session,
            _agent: agent,
        }
    }

    /// Whether the log holds a frame.
    async fn holds(&self, place: &Place, uuid: &str) -> bool {
        let path = format!("/v1/sessions/{}/events?limit=1000", self.session);
        let (status, page) = place.ask(place.person(Role::View), "GET", &path, "").await;
        assert_eq!(status, 200, "{page}");
        let frames = page["data"].as_array().unwrap();
        frames.iter().any(|frame| frame["uuid"] == *uuid)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_may_say_what_the_table_says() {
    let place = Place::open().await;
    let mut wrong = Vec::new();
    for row in rows("frame") {
        let (kind, way) = (&*row[0], &*row[1]);
        for (role, expected) in Role::ALL.into_iter().zip(&row[2..]) {
            let mut everybody = vec![Who::Person(role)];
            if role != Role::Own {
                everybody.push(Who::Guest(role));
            }
            for who in everybody {
                let asking = Asking::on(&place).await;
                let token = place.token(who, &asking.session).await.token.unwrap();
                let frame = frame(kind);
                let got = match way {
                    "POST" => posted(&place, &asking, &token, &frame).await,
                    "socket" => sent(&place, &asking, &token, &frame).await,
                    other => panic!("{other} is no way to say something"),
                };
                if got != *expected {
                    wrong.push(format!("{kind} by {way} of {who:?}: {got}, not {expected}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A frame with the `uuid` `it`.
fn frame(kind: &str) -> String {
    let with_uuid = |text: String| text.replace("\"req-r1\"", "\"it\"");
    match kind {
        "message" => user("it"),
        "answer to a prompt" => answer("p1", "it"),
        "initialize" => with_uuid(request("r1", "initialize")),
        "other request" => with_uuid(request("r1", "set_model")),
        "cancelled request" => {
            r#"{"type":"control_cancel_request","uuid":"it","request_id":"r0"}"#.to_owned()
        }
        "unknown control frame" => r#"{"type":"control_news","uuid":"it"}"#.to_owned(),
        other => panic!("{other} is no kind of frame"),
    }
}

/// Both generations of the API, which have to agree.
async fn posted(place: &Place, asking: &Asking, token: &str, frame: &str) -> String {
    let (v1, v2) = (asking.session.v1(), asking.session.v2());
    let mut outcomes = Vec::new();
    for (path, body) in [
        (
            format!("/v1/code/sessions/{v2}/events"),
            format!(r#"{{"events":[{{"payload":{frame}}}]}}"#),
        ),
        (
            format!("/v1/sessions/{v1}/events"),
            format!(r#"{{"events":[{frame}]}}"#),
        ),
    ] {
        let (status, body) = place.ask(token, "POST", &path, &body).await;
        let stored = asking.holds(place, "it").await;
        outcomes.push(match (status, body["data"][0]["status"].as_str(), stored) {
            (200, Some("stored" | "duplicate"), true) => "ok".to_owned(),
            (200, Some("ignored"), false) => "relay".to_owned(),
            (403, None, false) => "403".to_owned(),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(outcomes[0], outcomes[1], "{frame}");
    outcomes.remove(0)
}

async fn sent(place: &Place, asking: &Asking, token: &str, frame: &str) -> String {
    let url = place.world.subscribe_url(&asking.session.v1());
    let mut viewer = Viewer::connect(&url, Some(token)).await;
    viewer.send(frame).await;
    // Whatever came of it has come when this is answered or stored.
    viewer.send(&request("probe", "initialize")).await;
    let mut heard = Vec::new();
    let probed = async {
        loop {
            if asking.holds(place, "req-probe").await {
                return true;
            }
            tokio::task::yield_now().await;
        }
    };
    let listened = async {
        loop {
            let frame = viewer.frame().await;
            if frame.contains("\"probe\"") {
                return false;
            }
            heard.push(frame);
        }
    };
    let passed_on = soon(async {
        tokio::select! {
            stored = probed => stored,
            answered = listened => answered,
        }
    });
    passed_on.await;
    if asking.holds(place, "it").await {
        return "ok".to_owned();
    }
    let about = |what: &str| heard.iter().any(|frame| frame.contains(what));
    if about("\"answer_refused\"") {
        assert!(about("\"forbidden\""), "{heard:?}");
        "refused".to_owned()
    } else if about("\"error\"") {
        assert!(about("takes the role drive, and yours is"), "{heard:?}");
        "error".to_owned()
    } else if about("\"r1\"") {
        "relay".to_owned()
    } else {
        "dropped".to_owned()
    }
}
