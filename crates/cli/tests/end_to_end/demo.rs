//! `demo` and `relay`.

use crate::program::{Running, attache, finish};

#[tokio::test]
async fn the_scripted_demo_loses_nothing() {
    let run = finish(&mut attache(&["demo", "--script"])).await;
    run.ends_with(0);
    let last = run.stdout.lines().last().unwrap();
    assert!(last.starts_with("ok: "), "{run:?}");
    assert!(last.contains("1 crash survived"), "{last}");
    assert!(!run.stdout.contains('\u{1b}'), "no colour off a terminal");
}

#[tokio::test]
async fn the_demo_is_talked_to_and_left_with_the_end_of_input() {
    let mut demo = Running::start(&mut attache(&["demo"]));
    demo.line(|line| line.contains("Hello")).await;
    demo.type_line("roll").await;
    demo.line(|line| line.contains("y allows")).await;
    demo.type_line("y").await;
    demo.line(|line| line.contains("The dice say")).await;
    demo.type_line("good bye").await;
    demo.end_input();
    demo.end().await.ends_with(0);
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_interrupts_the_demo_agent_and_then_leaves() {
    let mut demo = Running::start(&mut attache(&["demo"]));
    demo.type_line("count").await;
    demo.line(|line| line.contains("I count")).await;
    demo.ctrl_c().await;
    demo.line(|line| line.contains("error_during_execution"))
        .await;
    demo.ctrl_c().await;
    demo.end().await.ends_with(130);
}

#[cfg(unix)]
#[tokio::test]
async fn a_relay_says_where_it_listens_and_stops_when_asked() {
    let mut relay = Running::start(&mut attache(&["relay", "--demo-session", "x"]));
    let line = relay.line(|line| line.starts_with("listening on ")).await;
    assert!(line.starts_with("listening on http://127.0.0.1:"), "{line}");
    let url = line.trim_start_matches("listening on ");
    let session = relay.line(|line| line.starts_with("session ")).await;
    let session = session.trim_start_matches("session ");

    let ls = finish(attache(&["ls", "--base-url", url]).env("ATTACHE_TOKEN", "any")).await;
    ls.ends_with(0);
    assert!(ls.stdout.starts_with(session), "{ls:?}");

    relay.ctrl_c().await;
    relay.end().await.ends_with(0);
}
