//! A scripted agent on stdin and stdout: it speaks as a real one does and does what it is told, mishaps
//! included.

mod script;
mod voice;

use std::{
    collections::BTreeMap,
    env,
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, BufRead, Write},
    process::ExitCode,
    sync::mpsc::{self, Receiver, TryRecvError},
    thread,
    time::Instant,
};

use script::{Do, Script, Surroundings};

const HELP: &str = "\
A scripted agent: newline-delimited JSON on stdin and stdout, as with a real agent.

Usage: scripted-agent [ANYTHING]...

Arguments are ignored, so that it can stand in for an agent with flags. It does what the text of a user
message says; messages that come in the meantime wait for their turn.

  say N          stream N words, then the whole message
  slow N [MS]    the same with a pause of MS milliseconds after each word (50)
  tool [NAME]    use the tool NAME (Bash), but ask for permission first
  big N          say N MiB in one line (at most 1024)
  env NAME       say the value of an environment variable
  garbage        write lines that are no frames, and a frame in two halves, then answer
  crash [CODE]   start to answer, write to stderr, exit with CODE (1) in the middle of the turn
  exit           answer, then exit with 0
  anything else  is repeated in a short answer

Control requests: initialize, interrupt, set_model, set_permission_mode, set_max_thinking_tokens; any
other gets an error response. When stdin ends it exits with 0 as soon as it would have to wait.
";

/// Lines that are read ahead; more have to wait in the pipe.
const AHEAD: usize = 16;

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    if env::args_os().any(|argument| argument == "--help" || argument == "-h") {
        return match out.write_all(HELP.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let lines = lines_of_stdin();
    let start = Instant::now();
    let mut script = Script::new(random(), surroundings());
    loop {
        hear_what_is_there(&mut script, &lines);
        let done = match script.next(start.elapsed()) {
            Do::Write(bytes) => out.write_all(&bytes).and_then(|()| out.flush()),
            Do::Complain(text) => writeln!(io::stderr(), "{text}"),
            Do::Exit(code) => return ExitCode::from(code),
            Do::Wait(limit) => {
                let line = match limit {
                    Some(limit) => lines.recv_timeout(limit).ok(),
                    None => lines.recv().ok(),
                };
                if let Some(line) = line {
                    script.hear(&line);
                }
                Ok(())
            }
        };
        if done.is_err() {
            // Nobody listens any more.
            return ExitCode::FAILURE;
        }
    }
}

fn hear_what_is_there(script: &mut Script, lines: &Receiver<Vec<u8>>) {
    loop {
        match lines.try_recv() {
            Ok(line) => script.hear(&line),
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => return script.hear_the_end(),
        }
    }
}

/// Reads on a thread of its own, since a pause must end when a line comes.
fn lines_of_stdin() -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::sync_channel(AHEAD);
    thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match stdin.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn surroundings() -> Surroundings {
    let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
    Surroundings {
        cwd: env::current_dir().map_or_else(|_| String::new(), |path| text(path.as_os_str())),
        variables: env::vars_os()
            .map(|(name, value)| (text(&name), text(&value)))
            .collect::<BTreeMap<_, _>>(),
    }
}

/// Ids need to differ, not to be secret: the seeds of the standard library's hash tables will do.
fn random() -> u128 {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    (half() << 64) | half()
}
