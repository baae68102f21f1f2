//! Which story covers which defect of the client that this one replaces.
//!
//! The table is held against the sources: a story that is renamed or removed must not leave a defect
//! uncovered without anybody noticing.

#![allow(
    clippy::unwrap_used,
    reason = "a story that does not go as told fails here, and that is what it is for"
)]

const SOURCES: &[(&str, &str)] = &[
    ("bad_input", include_str!("bad_input.rs")),
    ("catch_up", include_str!("stories/catch_up.rs")),
    ("closing", include_str!("stories/closing.rs")),
    (
        "closing_handshake",
        include_str!("stories/closing_handshake.rs"),
    ),
    ("listed_past", include_str!("stories/listed_past.rs")),
    ("connecting", include_str!("stories/connecting.rs")),
    ("credentials", include_str!("credentials.rs")),
    ("liveness", include_str!("stories/liveness.rs")),
    ("prompts", include_str!("stories/prompts.rs")),
    (
        "prompts_across_drops",
        include_str!("stories/prompts_across_drops.rs"),
    ),
    ("requests", include_str!("stories/requests.rs")),
    ("sending", include_str!("stories/sending.rs")),
];

/// The defect, and the stories that would show it. Plain `http://` off loopback is refused by the
/// driver crate, before there is a machine.
const COVERED: &[(&str, &[&str])] = &[
    (
        "the budget of 5 attempts was never used up: a failed retry was the end",
        &["connecting::the_budget_of_five_retries_is_used_up_before_the_end"],
    ),
    (
        "4001 never ended, because each open reset the counter",
        &["connecting::a_session_not_found_ends_after_three_retries_although_every_open_succeeds"],
    ),
    (
        "accept-then-close flapping went on for ever at full speed",
        &[
            "connecting::accept_then_close_flapping_ends",
            "connecting::accept_then_close_flapping_slows_down",
            "connecting::a_link_that_was_up_too_briefly_forgets_nothing",
        ],
    ),
    (
        "a failed first connect was not retried",
        &["connecting::a_failed_first_connect_is_retried"],
    ),
    (
        "1000, 1002, 1008, 1009 looped for ever",
        &["connecting::polite_and_final_closes_do_not_loop_for_ever"],
    ),
    (
        "4003 with a new token was not tried, or with the same token was",
        &[
            "credentials::after_4003_a_new_token_is_tried_once",
            "credentials::after_4003_the_same_token_is_never_tried_again",
        ],
    ),
    (
        "alternating 4001 and 1011 never ended",
        &["connecting::alternating_4001_and_1011_still_ends"],
    ),
    (
        "after a forced reconnect the half-open old socket hurt its successor",
        &["liveness::a_forced_reconnect_with_a_half_open_old_socket_never_hurts_its_successor"],
    ),
    (
        "connect then close left a socket open",
        &["closing::connect_then_close_leaves_nothing_open"],
    ),
    (
        "connect twice opened two sockets",
        &["connecting::connecting_twice_opens_one_socket"],
    ),
    (
        "a close or reconnect asked for while handling an event was lost",
        &[
            "closing::a_close_asked_for_while_handling_an_event_is_honoured",
            "closing::a_reconnect_asked_for_while_handling_an_event_is_honoured",
        ],
    ),
    (
        "a failing token source ended the client",
        &["credentials::a_failing_token_source_ends_the_attempt_not_the_client"],
    ),
    (
        "something was delivered after the end",
        &["closing_handshake::nothing_is_delivered_after_closed"],
    ),
    (
        "a peer that sent a close frame and kept TCP open was waited for",
        &[
            "closing_handshake::a_peer_that_sends_a_close_frame_and_keeps_tcp_open_is_left_behind",
            "closing_handshake::a_peer_that_does_not_agree_to_close_is_dropped_within_2_s",
        ],
    ),
    (
        "a missing pong was never noticed",
        &["liveness::without_a_pong_the_link_is_dead_within_40_s"],
    ),
    (
        "an upgrade that was never answered was waited for",
        &["connecting::an_upgrade_that_is_never_answered_is_given_up_after_15_s"],
    ),
    (
        "messages sent during a drop were lost",
        &["catch_up::a_gap_of_2_s_at_100_messages_a_second_loses_none"],
    ),
    (
        "an answer given offline was dropped",
        &[
            "prompts_across_drops::an_answer_given_offline_arrives",
            "prompts_across_drops::an_approval_given_offline_arrives_once_the_prompt_is_known_to_be_open",
        ],
    ),
    (
        "a prompt cancelled in the gap could be allowed",
        &[
            "prompts_across_drops::a_prompt_cancelled_in_the_gap_cannot_be_allowed",
            "prompts_across_drops::an_approval_kept_for_a_prompt_cancelled_in_the_gap_is_dropped",
        ],
    ),
    (
        "the same request id twice was two prompts",
        &["prompts::the_same_request_id_twice_is_one_prompt"],
    ),
    (
        "the same id with other content replaced what a person had read",
        &["prompts::the_same_request_id_with_other_content_is_refused"],
    ),
    (
        "a malformed control request left the agent waiting",
        &["prompts::a_malformed_control_request_gets_an_error_response"],
    ),
    (
        "unknown control types were shown as agent messages",
        &["bad_input::unknown_control_types_are_not_shown_as_agent_messages"],
    ),
    (
        "100 000 prompts took all memory",
        &["prompts::a_hundred_thousand_prompts_stay_in_bounds_and_each_is_answered"],
    ),
    (
        "a cancel before its request left a prompt nobody asks",
        &["prompts::a_cancel_before_its_request_leaves_nothing_to_approve"],
    ),
    (
        "a cancel that crossed the answer ended the prompt twice",
        &["prompts::a_cancel_that_crosses_the_answer_ends_the_prompt_once"],
    ),
    (
        "an interrupt asked for offline hit a later turn",
        &[
            "requests::an_interrupt_asked_for_offline_expires",
            "requests::an_interrupt_never_hits_a_later_turn",
        ],
    ),
    (
        "viewer-only could interrupt and answer",
        &[
            "requests::a_watching_viewer_asks_for_nothing",
            "prompts::a_watching_viewer_shows_prompts_and_answers_nothing",
        ],
    ),
    (
        "a frame of 90 MB was read",
        &["bad_input::a_frame_of_90_mb_is_refused_by_size_and_asked_for_once_more"],
    ),
    (
        "binary frames were dropped without a word",
        &["bad_input::binary_frames_are_read_if_they_are_text_and_reported_if_not"],
    ),
    (
        "several frames in one message, and one without a final newline, were misread",
        &["bad_input::several_frames_in_one_message_and_one_without_a_final_newline"],
    ),
    (
        "the echo of an own message was shown again",
        &["sending::the_echo_of_an_own_message_is_not_delivered_however_often_it_comes"],
    ),
    (
        "a message whose result was unknown was lost, or arrived twice",
        &["listed_past::a_message_whose_result_is_unknown_goes_out_again_under_the_same_id"],
    ),
    (
        "ids with `/`, `?`, `&` changed the URL",
        &[
            "bad_input::ids_that_would_change_a_url_are_refused",
            "bad_input::ids_from_the_peer_cannot_change_a_url",
        ],
    ),
    (
        "secrets stood in logs, `Debug` and errors",
        &["bad_input::secrets_and_contents_never_show_in_debug"],
    ),
    (
        "sends overtook each other",
        &["sending::sends_keep_their_order"],
    ),
];

#[test]
fn every_known_defect_has_a_story() {
    assert_eq!(COVERED.len(), 36);
    for (defect, stories) in COVERED {
        assert!(!stories.is_empty(), "{defect}");
        for story in *stories {
            let (file, name) = story.split_once("::").unwrap();
            let source = SOURCES.iter().find(|(name, _)| *name == file).unwrap().1;
            let test = format!("#[test]\nfn {name}()");
            assert!(source.contains(&test), "{defect}: no story {story}");
        }
    }
}
