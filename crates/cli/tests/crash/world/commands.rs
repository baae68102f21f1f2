//! How the parties are started.

use std::{fs, path::PathBuf};

use tokio::process::Command;

use super::World;
use crate::{agent::scripted_agent, process::Party, program::attache};

impl World {
    /// What `party` is started with.
    pub(super) fn command_of(&self, party: Party, life: u32) -> Command {
        match party {
            Party::Relay => {
                let data = self.folder.path().join("data").display().to_string();
                let listen = self.address.to_string();
                attache(&["relay", "--listen", &listen, "--data", &data])
            }
            Party::Bridge => {
                let heard = self.heard_folder();
                fs::create_dir_all(&heard).unwrap();
                let heard = heard.join(life.to_string()).display().to_string();
                let mut arguments = vec!["bridge", "--profile", "local"];
                if !self.session.is_empty() {
                    arguments.extend(["--session", &self.session]);
                }
                // What the agent is told is written down on the way.
                let script = r#"/usr/bin/tee "$1" | "$0""#;
                arguments.extend(["--", "/bin/sh", "-c", script, scripted_agent(), &heard]);
                self.command_line(&arguments)
            }
            Party::Viewer(viewer) => {
                let transport = ["ws", "sse"][viewer];
                self.command_line(&[
                    "attach",
                    &self.session,
                    "--json",
                    "--profile",
                    "local",
                    "--transport",
                    transport,
                ])
            }
            Party::Follower => {
                let since = self.followed.len().to_string();
                self.command_line(&[
                    "log",
                    &self.session,
                    "--profile",
                    "local",
                    "--follow",
                    "--since",
                    &since,
                ])
            }
        }
    }

    /// The program with `arguments`, pointed at the relay.
    pub(super) fn command_line(&self, arguments: &[&str]) -> Command {
        let mut command = attache(arguments);
        command
            .env("ATTACHE_BASE_URL", format!("http://{}", self.address))
            .env("ATTACHE_TOKEN", "a-token");
        command
    }

    /// Where what agents are told is written down, each in a file of its own.
    pub(super) fn heard_folder(&self) -> PathBuf {
        self.folder.path().join("heard")
    }
}
