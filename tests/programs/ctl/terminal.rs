//! Questions on a terminal. `script` lends one.

use std::fs::{self, File};
use std::process::Stdio;

use b3scale_support::{JWT_SECRET, TestCluster, eventually, within};
use rustix::termios::{LocalModes, tcgetattr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::Ctl;

/// The question that is answered unseen.
const SECRET: &str = "Shared secret: ";

/// A run on a terminal that answers questions as they come: whether it went well, and its whole output.
async fn on_terminal(ctl: &Ctl, line: &str, answers: &[(&str, &str)]) -> (bool, String) {
    let environment = ctl.command(line);
    let program = environment.as_std().get_program().to_str().expect("its path is text");
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &format!("tty; exec {program} {line}"), "/dev/null"]);
    for (name, value) in environment.as_std().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut running = command.spawn().expect("script can be run");
    let (mut keys, mut screen) = (running.stdin.take().expect("a pipe"), running.stdout.take().expect("a pipe"));
    let mut seen = Vec::new();
    for (question, answer) in answers {
        let asked = async {
            while !String::from_utf8_lossy(&seen).contains(question) {
                assert_ne!(
                    screen.read_buf(&mut seen).await.expect("it prints"),
                    0,
                    "{}",
                    String::from_utf8_lossy(&seen)
                );
            }
        };
        within("a question comes", asked).await;
        if *question == SECRET {
            let terminal = String::from_utf8_lossy(&seen).lines().next().expect("its name").to_owned();
            eventually("what is typed is not shown", async || !echoes(&terminal)).await;
        }
        keys.write_all(format!("{answer}\n").as_bytes()).await.expect("it reads");
    }
    within("it ends", screen.read_to_end(&mut seen)).await.expect("it prints");
    let went_well = running.wait().await.expect("it is ours").success();
    (went_well, String::from_utf8(seen).expect("it prints text"))
}

/// Whether a terminal echoes input.
fn echoes(terminal: &str) -> bool {
    let terminal = File::open(terminal).expect("it is ours");
    tcgetattr(terminal).expect("it is a terminal").local_modes.contains(LocalModes::ECHO)
}

#[tokio::test]
async fn the_shared_secret_is_asked_for_without_showing_it_and_once() {
    let cluster = TestCluster::start().await;
    let ctl = Ctl::new(&cluster.url()).with_token(None);
    let (well, seen) = on_terminal(&ctl, "show frontends", &[(SECRET, "wrong")]).await;
    assert!(!well && seen.contains("does not accept a token of that secret"), "{seen}");
    let (well, seen) = on_terminal(&ctl, "show frontends", &[(SECRET, JWT_SECRET)]).await;
    assert!(well && seen.contains("\tschool\t") && !seen.contains(JWT_SECRET), "{seen}");
    assert_eq!(fs::read_to_string(ctl.token_file()).unwrap().split('.').count(), 3);
    let (well, seen) = on_terminal(&ctl, "show frontends", &[]).await;
    assert!(well && !seen.contains("Shared secret"), "{seen}");
}

#[tokio::test]
async fn an_end_is_confirmed_by_hand() {
    let cluster = TestCluster::start().await;
    let ctl = Ctl::of_operator(&cluster.url());
    ctl.done("create-meeting --frontend school").await;
    let (well, seen) = on_terminal(&ctl, "delete frontend school", &[("Go on? [y/N] ", "n")]).await;
    assert!(!well && seen.contains(": 1 meeting with ") && seen.contains("nothing was done"), "{seen}");
    let (well, seen) = on_terminal(&ctl, "delete frontend school", &[("Go on? [y/N] ", "y")]).await;
    assert!(well && seen.contains("delete frontend: "), "{seen}");
    assert_eq!(ctl.done("show frontends").await, "");
}
