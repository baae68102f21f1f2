//! Who comes in with what, from the command line.

use crate::program::{Finished, Running, attache, finish, finish_with};

struct Place {
    folder: tempfile::TempDir,
    url: String,
    session: String,
    owner: String,
    _relay: Running,
}

impl Place {
    /// A relay with a token file, and a session on it.
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        let file = file.to_str().unwrap();
        let owner = token(file, "add owner --role own").await.stdout;
        let demo = ["relay", "--tokens", file, "--demo-session", "a test"];
        let mut relay = Running::start(&mut attache(&demo));
        let url = relay.line(|line| line.starts_with("listening on ")).await;
        let session = relay.line(|line| line.starts_with("session ")).await;
        Self {
            url: url.trim_start_matches("listening on ").to_owned(),
            session: session.trim_start_matches("session ").to_owned(),
            owner: owner.trim().to_owned(),
            folder,
            _relay: relay,
        }
    }

    async fn token(&self, arguments: &str) -> Finished {
        let file = self.folder.path().join("tokens");
        token(file.to_str().unwrap(), arguments).await
    }

    /// Runs the program as the owner.
    async fn owner(&self, arguments: &[&str]) -> Finished {
        self.person(&self.owner, arguments).await
    }

    async fn person(&self, token: &str, arguments: &[&str]) -> Finished {
        let mut command = attache(arguments);
        command.env("ATTACHE_BASE_URL", &self.url);
        finish(command.env("ATTACHE_TOKEN", token)).await
    }

    async fn share(&self, role: &str) -> String {
        let arguments = ["share", &self.session, "--role", role, "--ttl", "1h"];
        let shared = self.owner(&arguments).await;
        shared.ends_with(0);
        shared.stdout.trim().to_owned()
    }
}

async fn token(file: &str, arguments: &str) -> Finished {
    let mut all = vec!["token"];
    all.extend(arguments.split(' '));
    all.extend(["--tokens", file]);
    let run = finish(&mut attache(&all)).await;
    run.ends_with(0);
    run
}

#[tokio::test]
async fn a_link_opens_one_session_until_it_is_revoked() {
    let place = Place::open().await;
    let link = place.share("view").await;
    let start = format!("{}/s/{}#attache_share_", place.url, place.session);
    assert!(link.starts_with(&start), "{link}");

    // As an argument, from the environment and from stdin.
    finish(&mut attache(&["log", &link])).await.ends_with(0);
    let mut elsewhere = attache(&["log", "-"]);
    finish(elsewhere.env("ATTACHE_LINK", &link))
        .await
        .ends_with(0);
    finish_with(&mut attache(&["log", "-"]), link.as_bytes())
        .await
        .ends_with(0);

    let refused = finish(&mut attache(&["send", &link, "hello"])).await;
    refused.fails_in_one_line(3, "did not take the message");

    let mut watching = Running::start(&mut attache(&["attach", &link, "--watch", "--json"]));
    watching.line(|line| line.contains("\"live\"")).await;
    let list = place.owner(&["share", "list", &place.session]).await;
    list.ends_with(0);
    let id = list.stdout.split(' ').next().unwrap();
    assert!(
        list.stdout.contains("view") && id.starts_with("share_"),
        "{list:?}"
    );
    place
        .owner(&["share", "revoke", &place.session, id])
        .await
        .ends_with(0);
    watching.end().await.ends_with(3);
    finish(&mut attache(&["log", &link])).await.ends_with(3);
    let again = ["share", "revoke", &place.session, id];
    place
        .owner(&again)
        .await
        .fails_in_one_line(4, "no such share");
}

#[tokio::test]
async fn tokens_are_made_in_a_file_that_is_named() {
    let run = finish(&mut attache(&["token", "add", "ann", "--role", "own"])).await;
    run.fails_in_one_line(2, "--tokens");
}

#[tokio::test]
async fn a_broken_link_is_not_shown() {
    for link in ["https://relay.example/s/a b#secret", "relay.example#secret"] {
        let run = finish(&mut attache(&["attach", link])).await;
        run.fails_in_one_line(2, "a link looks like");
        assert!(!run.stderr.contains("secret"), "{run:?}");
    }
}

#[tokio::test]
async fn a_token_comes_in_while_it_is_in_the_file() {
    let place = Place::open().await;
    let bob = place.token("add bob --role approve --ttl 1h").await.stdout;
    let bob = bob.trim();
    place.person(bob, &["ls"]).await.ends_with(0);
    let share = ["share", &place.session, "--role", "view", "--ttl", "1h"];
    let refused = place.person(bob, &share).await;
    refused.fails_in_one_line(
        3,
        "your role is approve (answer prompts), and this takes own",
    );

    let list = place.token("list").await.stdout;
    assert!(list.contains("owner  own      never expires"), "{list}");
    assert!(list.contains("bob  approve  expires 2"), "{list}");
    assert!(!list.contains(bob));

    let mut command = attache(&["attach", &place.session, "--watch", "--json"]);
    command.env("ATTACHE_BASE_URL", &place.url);
    let mut watching = Running::start(command.env("ATTACHE_TOKEN", bob));
    watching.line(|line| line.contains("\"live\"")).await;
    place.token("revoke bob").await;
    watching.end().await.ends_with(3);
    place.person(bob, &["ls"]).await.ends_with(3);
}
