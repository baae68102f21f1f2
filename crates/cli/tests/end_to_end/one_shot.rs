//! Commands that do one thing and end.

use crate::{
    program::{finish, finish_with},
    server::Server,
};

#[tokio::test]
async fn a_message_is_sent_from_the_command_line_or_stdin() {
    let mut server = Server::start().await;
    finish(&mut server.command(&["send", "SESSION", "hello"]))
        .await
        .ends_with(0);
    assert!(
        server
            .heard()
            .await
            .as_str()
            .contains(r#""content":"hello""#)
    );

    let mut command = server.command(&["send", "SESSION", "-"]);
    finish_with(&mut command, b"two\nlines\n")
        .await
        .ends_with(0);
    assert!(
        server
            .heard()
            .await
            .as_str()
            .contains(r#""content":"two\nlines""#)
    );
}

#[tokio::test]
async fn the_only_prompt_is_answered_without_its_id() {
    let mut server = Server::start().await;
    server.ask("r1").await;
    finish(&mut server.command(&["approve", "SESSION"]))
        .await
        .ends_with(0);
    assert!(
        server
            .heard()
            .await
            .as_str()
            .contains(r#""behavior":"allow""#)
    );

    let none = finish(&mut server.command(&["approve", "SESSION"])).await;
    none.fails_in_one_line(1, "no prompt is open");
}

#[tokio::test]
async fn of_several_prompts_one_is_named() {
    let mut server = Server::start().await;
    server.ask("r1").await;
    server.ask("r2").await;
    let ambiguous = finish(&mut server.command(&["deny", "SESSION"])).await;
    ambiguous.ends_with(2);
    assert!(ambiguous.stderr.contains("r1") && ambiguous.stderr.contains("r2"));

    let mut command = server.command(&["deny", "SESSION", "r2", "--message", "no way"]);
    finish(&mut command).await.ends_with(0);
    let answer = server.heard().await;
    assert!(
        answer.as_str().contains(r#""request_id":"r2""#),
        "{}",
        answer.as_str()
    );
    assert!(answer.as_str().contains(r#""message":"no way""#));
}

#[tokio::test]
async fn an_interrupt_waits_for_the_agent() {
    let mut server = Server::start().await;
    let mut command = server.command(&["interrupt", "SESSION"]);
    let agent = async {
        let request = server.heard().await;
        let request: serde_json::Value = serde_json::from_str(request.as_str()).unwrap();
        assert_eq!(request["request"]["subtype"], "interrupt");
        server.answer(request["request_id"].as_str().unwrap()).await;
    };
    let (run, ()) = tokio::join!(finish(&mut command), agent);
    run.ends_with(0);
}

#[tokio::test]
async fn the_log_is_printed_as_it_was_stored() {
    let server = Server::start().await;
    let frames: Vec<_> = (0..250)
        .map(|number| format!(r#"{{"type":"novel",  "n":{number}.0,"uuid":"u{number}"}}"#))
        .collect();
    for frame in &frames {
        server.say(frame).await;
    }
    let run = finish(&mut server.command(&["log", "SESSION"])).await;
    run.ends_with(0);
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), frames);
}

#[tokio::test]
async fn sessions_are_listed() {
    let server = Server::start().await;
    let run = finish(&mut server.command(&["ls"])).await;
    run.ends_with(0);
    assert!(run.stdout.contains(&server.session.to_string()) && run.stdout.contains("a test"));
    let run = finish(&mut server.command(&["ls", "--json"])).await;
    let session: serde_json::Value = serde_json::from_str(run.stdout.trim()).unwrap();
    assert_eq!(session["title"], "a test");
}
