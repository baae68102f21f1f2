//! Every example does what it says, on the runtime that it is for.

use std::sync::mpsc;

use attache_testkit::examples::{self, Door, Ended, Output};
use smol::Unblock;

use crate::{approver::approve, chat::chat, watch::watch, worker_example::work};

#[test]
fn watch_shows_every_message_until_the_session_ends() {
    examples::watch(
        |Door {
             base_url,
             session,
             token,
         },
         output| { async_std::task::block_on(watch(&base_url, &session, token, output)) },
    );
}

#[test]
fn chat_says_lines_and_shows_answers() {
    examples::chat(chatting);
}

#[test]
fn approver_allows_what_is_on_its_list_and_denies_the_rest() {
    examples::approver(
        |Door {
             base_url,
             session,
             token,
         },
         tools,
         output| {
            async_std::task::block_on(approve(&base_url, &session, token, &tools, output))
        },
    );
}

#[test]
fn worker_and_chat_talk_with_each_other_through_the_relay() {
    examples::worker(
        |Door {
             base_url, token, ..
         },
         output| smol::block_on(work(&base_url, token, output)),
        chatting,
    );
}

fn chatting(door: Door, typed: mpsc::Receiver<String>, output: Output) -> Ended {
    let Door {
        base_url,
        session,
        token,
    } = door;
    let lines = Unblock::new(typed.into_iter().map(Ok));
    smol::block_on(chat(&base_url, &session, token, lines, output))
}
