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
async fn the_demo_takes_its_agent_with_it_at_the_end_of_input() {
    let mut demo = Running::start(&mut attache(&["demo"]));
    demo.line(|line| line.contains("Hello")).await;
    let agents = children(demo.id()).await;
    assert_eq!(agents.len(), 1);
    demo.type_line("count").await;
    demo.line(|line| line.contains("I count")).await;
    demo.end_input();
    demo.end().await.ends_with(0);
    assert!(!lives(agents[0]).await);
}

#[cfg(unix)]
#[tokio::test]
async fn the_demo_takes_its_agent_with_it_on_ctrl_c() {
    let mut demo = Running::start(&mut attache(&["demo"]));
    demo.line(|line| line.contains("Hello")).await;
    let agents = children(demo.id()).await;
    assert_eq!(agents.len(), 1);
    demo.type_line("roll").await;
    demo.line(|line| line.contains("y allows")).await;
    demo.ctrl_c().await;
    demo.line(|line| line.contains("error_during_execution"))
        .await;
    demo.ctrl_c().await;
    demo.end().await.ends_with(130);
    assert!(!lives(agents[0]).await);
}

#[cfg(unix)]
#[tokio::test]
async fn a_script_that_is_stopped_leaves_no_agent() {
    let mut demo = Running::start(&mut attache(&["demo", "--script"]));
    demo.line(|line| line.contains("Hello")).await;
    let agents = children(demo.id()).await;
    assert_eq!(agents.len(), 1);
    demo.ctrl_c().await;
    demo.end().await.ends_with(130);
    assert!(!lives(agents[0]).await);
}

/// The processes that `parent` has started.
#[cfg(unix)]
async fn children(parent: u32) -> Vec<u32> {
    let processes = processes().await.into_iter();
    let children = processes.filter(|(_, its_parent)| *its_parent == parent);
    children.map(|(id, _)| id).collect()
}

#[cfg(unix)]
async fn lives(process: u32) -> bool {
    processes().await.iter().any(|(id, _)| *id == process)
}

/// Every process there is, and its parent.
#[cfg(unix)]
async fn processes() -> Vec<(u32, u32)> {
    let mut ps = tokio::process::Command::new("ps");
    let listed = finish(ps.args(["-A", "-o", "pid=,ppid="])).await;
    listed.ends_with(0);
    let processes = listed.stdout.lines().filter_map(|line| {
        let (id, parent) = line.trim().split_once(' ')?;
        Some((id.parse().ok()?, parent.trim().parse().ok()?))
    });
    processes.collect()
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
