//! A shell in a container: `kubectl exec`, which knows every way to authenticate, to resize and to keep a connection alive.
//!
//! The arguments name the cluster as this session reached it, so that the shell opens where the screen says it does.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::session::Session;
use crate::kinds::ObjectRef;

/// A shell that ends sooner than this never was one: what was said must be read before the screen covers it.
const AT_ONCE: Duration = Duration::from_secs(3);
/// bash where there is one.
const SHELL: &str = "command -v bash >/dev/null 2>&1 && exec bash || exec sh";

/// The arguments of kubectl; `None` without a connection.
pub fn arguments(session: &Session, pod: &ObjectRef, container: &str) -> Option<Vec<String>> {
    let connection = session.connection()?;
    let options = session.reached_by()?;
    let mut arguments = Vec::new();
    if let Some(path) = &options.kubeconfig {
        arguments.push(format!("--kubeconfig={}", path.display()));
    }
    if connection.context != "in-cluster" {
        arguments.push(format!("--context={}", connection.context));
    }
    if let Some(user) = &options.impersonate {
        arguments.push(format!("--as={user}"));
        arguments.extend(options.impersonate_groups.iter().map(|group| format!("--as-group={group}")));
    }
    arguments.extend(exec(pod, container));
    Some(arguments)
}

fn exec(pod: &ObjectRef, container: &str) -> Vec<String> {
    let words = ["exec", "-it", &pod.name, "-n", &pod.namespace, "-c", container, "--", "sh", "-c", SHELL];
    words.into_iter().map(str::to_owned).collect()
}

/// Runs it on the terminal; a sentence when there is something to say.
pub fn run(arguments: &[String], pod: &ObjectRef, container: &str) -> Option<String> {
    use std::io::Write;
    let began = Instant::now();
    let mut out = std::io::stdout();
    let _ = writeln!(out, "k3am: {container} of {pod} in {}; exit comes back", pod.namespace);
    match Command::new("kubectl").args(arguments).status() {
        Ok(status) if status.success() || began.elapsed() >= AT_ONCE => None,
        Ok(status) => {
            let _ = write!(out, "k3am: no shell there ({status}). Enter goes back. ");
            let _ = out.flush();
            let _ = Command::new("sh").args(["-c", "read -r _"]).stdout(Stdio::null()).status();
            Some(format!("no shell in {container} of {pod}"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Some("a shell needs kubectl in the PATH: it is not there".to_owned())
        }
        Err(error) => Some(format!("cannot run kubectl: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_is_opened_in_the_container_that_was_chosen() {
        let words = exec(&ObjectRef::new("Pod", "shop", "web-1"), "side");
        assert_eq!(words.get(..8).unwrap().join(" "), "exec -it web-1 -n shop -c side --");
    }
}
