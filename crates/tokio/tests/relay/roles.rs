//! What a credential does not allow is refused act by act, and never ends the session.

use attache_protocol::{
    frame::{RequestId, control::Fields},
    viewer::{Content, Decision, Event, SendRejection, SendState, SettledBy, Transport},
};
use attache_relay::{Credentials, Role, TokenFile, TokenRegistry};

use crate::world::{World, assistant, prompt};

const BOTH: [Transport; 2] = [Transport::WebSocket, Transport::Sse];

/// A world of people with roles, and the tokens of one who watches and one who answers.
async fn people() -> (World, [String; 2], tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::at(folder.path().join("tokens"));
    let tokens = [Role::View, Role::Approve].map(|role| {
        let token = file.add(role.as_str(), role, None).unwrap();
        token.expose().to_owned()
    });
    let registry = TokenRegistry::open(file.path()).unwrap();
    let world = World::with(Credentials::Registry(registry)).await;
    (world, tokens, folder)
}

#[tokio::test]
async fn who_only_watches_is_refused_act_by_act_and_goes_on_watching() {
    for transport in BOTH {
        let (world, [watching, _], _folder) = people().await;
        let agent = world.relay.attach_agent(&world.session).await.unwrap();
        let mut viewer = world.attach_as(&watching, world.config(transport));
        viewer.live().await;
        agent.publish(&prompt("r1")).await.unwrap();
        viewer
            .until(|event| matches!(event, Event::PermissionRequested(_)).then_some(()))
            .await;
        let id = RequestId::new("r1").unwrap();
        let decided = viewer.session.decide(id, Decision::allow());
        decided.await.unwrap();
        viewer
            .until(|event| {
                assert!(!matches!(event, Event::PermissionSettled { .. }));
                matches!(event, Event::AnswerRefused { .. }).then_some(())
            })
            .await;
        let asked = viewer.session.request("set_model", Fields::NONE);
        asked.await.unwrap();
        viewer
            .until(|event| matches!(event, Event::Request { .. }).then_some(()))
            .await;
        viewer.session.send(Content::text("hello")).await.unwrap();
        let rejected = viewer
            .until(|event| match event {
                Event::Send {
                    state: SendState::Rejected(why),
                    ..
                } => Some(why.clone()),
                _ => None,
            })
            .await;
        assert_eq!(rejected, SendRejection::Unauthorized, "{transport:?}");
        agent.publish(&assistant("u1")).await.unwrap();
        assert_eq!(viewer.messages_to("u1").await, ["u1"], "{transport:?}");
    }
}

#[tokio::test]
async fn who_may_answer_answers() {
    for transport in BOTH {
        let (world, [_, answering], _folder) = people().await;
        let agent = world.relay.attach_agent(&world.session).await.unwrap();
        let mut viewer = world.attach_as(&answering, world.config(transport));
        viewer.live().await;
        agent.publish(&prompt("r1")).await.unwrap();
        viewer
            .until(|event| matches!(event, Event::PermissionRequested(_)).then_some(()))
            .await;
        let id = RequestId::new("r1").unwrap();
        let decided = viewer.session.decide(id, Decision::deny("no"));
        decided.await.unwrap();
        let by = viewer
            .until(|event| match event {
                Event::PermissionSettled { by, .. } => Some(by.clone()),
                _ => None,
            })
            .await;
        assert_eq!(by, SettledBy::Us, "{transport:?}");
    }
}
