//! The commands that fixes print, as every fixture of every rule shows them. Their objects do not exist: kubectl has to understand
//! them all the same.

use k3am::practice::{Options, PracticeCluster};
use kubectl::{Printed, shape};

#[path = "../support/kubectl.rs"]
pub(crate) mod kubectl;

#[test]
fn commands_are_tried_once_a_shape() {
    assert_eq!(shape("kubectl -n shop delete pod db-0"), shape("kubectl -n shop delete pod db-1"));
    assert_ne!(shape("kubectl -n shop delete pod/db-0"), shape("kubectl -n shop delete job/db-0"));
    assert_ne!(shape("kubectl -n shop logs db-0 --tail=200"), shape("kubectl -n shop logs db-0 --previous --tail=200"));
    assert_ne!(shape(r#"kubectl patch pod/a -p '{"a":1}'"#), shape(r#"kubectl patch pod/a -p '{"b":1}'"#));
}

#[test]
fn kubectl_understands_the_commands_of_every_rule() {
    let Some(printed) = Printed::open() else { return };
    let cluster = PracticeCluster::start(&Options::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = cluster.write_kubeconfig(dir.path()).unwrap();
    let commands = crate::rules::commands_of_fixtures();
    let problems: Vec<String> = commands.iter().filter_map(|command| printed.problem(&kubeconfig, command)).collect();
    assert!(
        problems.is_empty(),
        "{} beside {} that are understood:\n{}",
        problems.len(),
        printed.understood(),
        problems.join("\n")
    );
    assert!(printed.understood() > 100, "{} commands", printed.understood());
}
