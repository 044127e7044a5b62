//! The shell in a practice container: enough for a look around and for scripts that check something.
//!
//! Commands: `echo`, `printf`, `env`, `ls`, `cat`, `ps`, `id`, `whoami`, `hostname`, `pwd`, `date`, `test -d|-e|-f`, `true` and `false`,
//! `tar` as `kubectl cp` calls it, `exit`; `sh -c`, `;`, `&&`, `||`, quotes, `$NAME` and `$?`. Files are what Kubernetes puts there: mounted configuration and
//! secrets, the service account, `/etc/hostname`, and what was copied there. To add a command: a line in [`Shell::run`].

use std::collections::BTreeMap;

use serde_json::Value;

use crate::practice::json::{items, text};
use crate::practice::kubelet::environment;
use crate::practice::runtime::{Files, Runtime};
use crate::practice::store::Store;

mod files;

const SHELLS: &[&str] = &["sh", "/bin/sh", "bash", "/bin/bash", "ash", "/bin/ash"];
const COMMANDS: &[&str] = &[
    "cat", "date", "echo", "env", "exit", "false", "hostname", "id", "ls", "printenv", "printf", "ps", "pwd", "tar", "test",
    "true", "whoami",
];

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It ran, with this exit code.
    Exit(i32),
    /// It could not be started, in the container runtime's words.
    CannotStart(String),
}

/// What was written since the last step, and the end if this was it.
#[derive(Debug, Default)]
pub struct Step {
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub error: String,
    /// The end.
    pub ended: Option<Ended>,
}

/// Where what is copied into a run of a container stays.
pub struct Disk {
    /// Keeps it.
    pub runtime: Runtime,
    /// The pod's uid.
    pub uid: String,
    /// The container's name.
    pub container: String,
    /// The number of its run.
    pub restart: u32,
}

/// A process in a container.
pub struct Shell {
    variables: BTreeMap<String, String>,
    files: Files,
    disk: Option<Disk>,
    /// `tar -x` waits for an archive to unpack below this folder.
    unpacks_to: Option<String>,
    seconds: i64,
    host: String,
    process: String,
    date: String,
    tty: bool,
    /// Whether lines are commands; otherwise they are what `cat` copies.
    reads_commands: bool,
    code: i32,
    exited: bool,
    /// `exec sh`: the script gave way to a shell that reads on.
    replaced: bool,
}

impl Shell {
    /// A process in a running container; the kubelet's complaint when its environment cannot be resolved.
    pub fn open(store: &Store, pod: &Value, container: &Value, tty: bool, disk: Option<Disk>) -> Result<Self, String> {
        let host = text(pod, "metadata.name").to_owned();
        let mut variables = environment::resolve(store, pod, container)?;
        variables.insert("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
        variables.insert("HOSTNAME".to_owned(), host.clone());
        variables.insert("HOME".to_owned(), "/root".to_owned());
        variables.insert("KUBERNETES_SERVICE_HOST".to_owned(), "10.96.0.1".to_owned());
        variables.insert("KUBERNETES_SERVICE_PORT".to_owned(), "443".to_owned());
        let words = [items(container, "command"), items(container, "args")].concat();
        let command = words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
        let image = text(container, "image").rsplit('/').next().unwrap_or_default();
        let process = if command.is_empty() { image.split([':', '@']).next().unwrap_or_default().to_owned() } else { command };
        let date = store.clock().now().format("%a %b %e %H:%M:%S UTC %Y").to_string();
        let mut files = files::files(store, pod, container);
        files.extend(disk.iter().flat_map(|disk| disk.runtime.files(&disk.uid, &disk.container, disk.restart)));
        Ok(Self {
            variables,
            files,
            disk,
            unpacks_to: None,
            seconds: store.clock().now().timestamp(),
            host,
            process,
            date,
            tty,
            reads_commands: true,
            code: 0,
            exited: false,
            replaced: false,
        })
    }

    /// Starts a command: it ends at once, unless it is a shell or `cat` without a file, which read on.
    pub fn start(&mut self, command: &[String]) -> Step {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] => Step {
                ended: Some(Ended::CannotStart("you must specify at least one command for the container".into())),
                ..Step::default()
            },
            [shell] if SHELLS.contains(shell) => self.prompt(Step::default()),
            [shell, "-c", script, ..] if SHELLS.contains(shell) => {
                let mut step = Step::default();
                self.script(script, &mut step);
                if std::mem::take(&mut self.replaced) {
                    return self.prompt(step);
                }
                step.ended = Some(Ended::Exit(self.code));
                step
            }
            ["cat"] => {
                self.reads_commands = false;
                Step::default()
            }
            [name, ..] if COMMANDS.contains(&name.rsplit('/').next().unwrap_or_default()) => {
                let mut step = Step::default();
                self.run(command, &mut step);
                step.ended = self.unpacks_to.is_none().then_some(Ended::Exit(self.code));
                step
            }
            [name, ..] => {
                let why = format!(
                    "error executing command in container: failed to exec in container: failed to start exec: OCI runtime exec \
                     failed: exec failed: unable to start container process: exec: {name:?}: executable file not found in \
                     $PATH: unknown"
                );
                Step { ended: Some(Ended::CannotStart(why)), ..Step::default() }
            }
        }
    }

    /// A line of input.
    pub fn line(&mut self, line: &str) -> Step {
        let mut step = Step::default();
        if !self.reads_commands {
            step.out = format!("{line}\n").into_bytes();
            return step;
        }
        if self.tty {
            step.out = format!("{line}\r\n").into_bytes();
        }
        self.script(line, &mut step);
        if self.exited {
            step.ended = Some(Ended::Exit(self.code));
            return step;
        }
        self.prompt(step)
    }

    /// No more input comes.
    pub fn end_of_input(&mut self) -> Step {
        Step { ended: Some(Ended::Exit(self.code)), ..Step::default() }
    }

    fn prompt(&self, mut step: Step) -> Step {
        if self.tty {
            let mut before = 0;
            let written = std::mem::take(&mut step.out);
            for byte in written {
                // A terminal puts the carriage back at each new line.
                if byte == b'\n' && before != b'\r' {
                    step.out.push(b'\r');
                }
                step.out.push(byte);
                before = byte;
            }
            step.out.extend(b"/ # ");
        }
        step
    }

    fn script(&mut self, script: &str, step: &mut Step) {
        for (joint, command) in split(script) {
            let skipped = match joint {
                "&&" => self.code != 0,
                "||" => self.code == 0,
                _ => false,
            };
            if skipped {
                continue;
            }
            let words = words(&command, &self.variables, self.code);
            self.run(&words, step);
            if self.exited || self.replaced {
                return;
            }
        }
    }

    /// Whether the image has that command; of shells it has `sh` only.
    fn has(name: &str) -> bool {
        let name = name.rsplit('/').next().unwrap_or_default();
        name == "sh" || COMMANDS.contains(&name)
    }

    fn run(&mut self, words: &[String], step: &mut Step) {
        let Some((name, rest)) = words.split_first() else { return };
        self.code = 0;
        let line = rest.join(" ");
        let written = match name.rsplit('/').next().unwrap_or_default() {
            "echo" => match rest.split_first() {
                Some((flag, rest)) if flag == "-n" => rest.join(" "),
                _ => format!("{line}\n"),
            },
            "printf" => line.replace("\\n", "\n"),
            "env" | "printenv" => self.environment(rest),
            "hostname" => format!("{}\n", self.host),
            "pwd" => "/\n".to_owned(),
            "whoami" => "root\n".to_owned(),
            "id" => "uid=0(root) gid=0(root) groups=0(root)\n".to_owned(),
            "date" => format!("{}\n", self.date),
            "ps" => format!("PID   USER     TIME  COMMAND\n    1 root      0:00 {}\n   29 root      0:00 ps\n", self.process),
            "ls" => self.list(rest, step),
            "true" => String::new(),
            command @ ("cat" | "tar" | "test") => {
                self.on_files(command, rest, step);
                String::new()
            }
            "false" => {
                self.code = 1;
                String::new()
            }
            "command" => match rest {
                [flag, name, more @ ..] if flag == "-v" && Self::has(name) => {
                    if more.is_empty() {
                        format!("/bin/{name}\n")
                    } else {
                        String::new()
                    }
                }
                _ => {
                    self.code = 1;
                    String::new()
                }
            },
            "exec" if rest.first().is_some_and(|name| name.ends_with("sh") && Self::has(name)) => {
                self.replaced = true;
                String::new()
            }
            "exit" => {
                self.exited = true;
                self.code = rest.first().and_then(|code| code.parse().ok()).unwrap_or(0);
                String::new()
            }
            _ => {
                self.code = 127;
                step.error.push_str(&format!("sh: {name}: not found\n"));
                String::new()
            }
        };
        step.out.extend(written.into_bytes());
    }

    fn environment(&mut self, names: &[String]) -> String {
        match names.first() {
            None => self.variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect(),
            Some(name) => self.variables.get(name).map_or_else(
                || {
                    self.code = 1;
                    String::new()
                },
                |value| format!("{value}\n"),
            ),
        }
    }
}

/// A script as commands, each with what joins it to the one before.
fn split(script: &str) -> Vec<(&'static str, String)> {
    let mut commands = Vec::new();
    let (mut joint, mut command, mut quote) = ("", String::new(), None);
    let mut characters = script.chars().peekable();
    while let Some(character) = characters.next() {
        let next = match (quote, character, characters.peek()) {
            (None, '&', Some('&')) => Some("&&"),
            (None, '|', Some('|')) => Some("||"),
            (None, ';' | '\n', _) => Some(";"),
            _ => None,
        };
        if let Some(next) = next {
            if next.len() == 2 {
                characters.next();
            }
            commands.push((joint, std::mem::take(&mut command)));
            joint = next;
            continue;
        }
        if matches!(character, '\'' | '"') {
            quote = match quote {
                None => Some(character),
                Some(open) if open == character => None,
                open => open,
            };
        }
        command.push(character);
    }
    commands.push((joint, command));
    commands
}

/// The words of a command, quotes taken off and variables filled in.
fn words(command: &str, variables: &BTreeMap<String, String>, code: i32) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    let mut characters = command.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some(open), _) if open == character => quote = None,
            (None | Some('"'), '$') => {
                let mut name = String::new();
                let braced = characters.next_if_eq(&'{').is_some();
                if characters.next_if_eq(&'?').is_some() {
                    word.get_or_insert_default().push_str(&code.to_string());
                    continue;
                }
                while let Some(part) = characters.next_if(|next| next.is_ascii_alphanumeric() || *next == '_') {
                    name.push(part);
                }
                if braced {
                    characters.next_if_eq(&'}');
                }
                let value = variables.get(&name).map_or("", String::as_str);
                word.get_or_insert_default().push_str(value);
            }
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::practice::clock::Clock;
    use serde_json::json;

    fn shell(tty: bool) -> Shell {
        let pod = json!({"metadata": {"name": "web", "namespace": "default"}});
        let container = json!({"name": "app", "image": "nginx:1", "env": [{"name": "COLOUR", "value": "red"}]});
        Shell::open(&Store::new(Clock::new(1.0), 1), &pod, &container, tty, None).unwrap()
    }

    fn start(words: &[&str]) -> Step {
        shell(false).start(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn commands_write_and_end_as_in_a_container() {
        let step = start(&["sh", "-c", "echo \"$COLOUR  car\" && cat /nope || echo failed $?; hostname"]);
        assert_eq!(step.out, b"red  car\nfailed 1\nweb\n");
        assert_eq!(step.error, "cat: can't open '/nope': No such file or directory\n");
        assert_eq!(start(&["sh", "-c", "exit 3"]).ended, Some(Ended::Exit(3)));
        assert_eq!(start(&["sh", "-c", "nope"]).ended, Some(Ended::Exit(127)));
        assert!(matches!(start(&["nope"]).ended, Some(Ended::CannotStart(why)) if why.contains("executable file not found")));
        assert!(start(&["ps"]).out.windows(20).any(|part| part == b"1 root      0:00 ngi"));
    }

    #[test]
    fn a_shell_on_a_terminal_prompts_until_it_is_left() {
        let mut shell = shell(true);
        assert_eq!(shell.start(&["sh".to_owned()]).out, b"/ # ");
        assert_eq!(shell.line("whoami").out, b"whoami\r\nroot\r\n/ # ");
        assert_eq!(shell.line("exit 2").ended, Some(Ended::Exit(2)));
        let mut better = self::shell(true);
        let script = "command -v bash >/dev/null 2>&1 && exec bash || exec sh";
        let step = better.start(&["sh", "-c", script].map(ToOwned::to_owned));
        assert_eq!((step.out.as_slice(), step.ended), (b"/ # ".as_slice(), None));
        assert_eq!(better.line("exit").ended, Some(Ended::Exit(0)));
    }
}
