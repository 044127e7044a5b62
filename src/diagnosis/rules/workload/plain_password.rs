//! `password-in-environment`: a password in a plain environment variable. Named, never shown.

use crate::changes::redact;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{can_roll_out, edit, fact, fix, kubectl, quoted, target};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::pods;
use crate::kinds::pod_spec::EnvVar;
use crate::kinds::{KindId, Row};

/// Advice, no incident.
pub static PLAIN_PASSWORD: Rule = Rule {
    name: "plain-password",
    causes: &[CauseId("password-in-environment")],
    doc: "\
What it detects
  A password, token or key as a plain value in a container's environment, or a password inside a URL there. Advice, shown by X:
  whoever may read pods may read it. The variable is named, its value is never shown.
Reads
  spec.containers[*].env[*].{name,value}.
Source
  The right to list pods is given to many more people than the right to read Secrets.
Look-alikes
  A path to a file that holds the password (NAME_FILE, /run/secrets/...), a reference $(OTHER), an empty value.
Fixes
  Move it into a Secret and refer to it; then change it, since it has been seen.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

static PASSWORD_NAME: Pattern = Pattern::new(
    r"(?i)(?:PASSWORD|PASSWD|PASSPHRASE|_PWD|_PASS|SECRET(?:_KEY)?|ACCESS_KEY|PRIVATE_KEY|API_?KEY|AUTH_?TOKEN|ACCESS_TOKEN|^TOKEN|_TOKEN)$",
);
static PASSWORD_IN_URL: Pattern = Pattern::new(r"^[A-Za-z][\w+.-]*://[^:/@\s]*:[^@/\s]+@");
static HARMLESS: Pattern = Pattern::new(r"^(?:\$\(|\$\{|/|file:|true$|false$|\d{1,3}$|none$|null$|changeme$)");

/// True for a plain value that is a password, or holds one.
fn is_password(variable: &EnvVar) -> bool {
    let Some(value) = variable.value.as_deref().map(str::trim).filter(|v| !v.is_empty()) else { return false };
    let in_url = PASSWORD_IN_URL.is_match(value) && !value.contains("$(") && redact::text(value) != value;
    in_url || PASSWORD_NAME.is_match(&variable.name) && !HARMLESS.is_match(value) && !value.contains("://")
}

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    for container in pod.spec.all_containers() {
        let names: Vec<&str> = container.env.iter().filter(|v| is_password(v)).map(|v| &*v.name).collect();
        let Some(first) = names.first() else { continue };
        let path = pod.spec.container_path(&container.name);
        let quotes = names.iter().map(|name| draft::pod_spec(pod, format!("{path}.env[{name}].value"), redact::MASK));
        out.findings.push(
            Draft::pod(facts, "password-in-environment", pod)
                .container(&container.name)
                .fact("variable", first)
                .says(format!("container {} holds a password in plain sight: {}", container.name, names.join(", ")))
                .because_all(quotes)
                .done(),
        );
    }
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let (variable, container, workload) = (fact(finding, "variable"), fact(finding, "container"), &finding.workload);
    let why = "whoever may read pods may read the value; change it afterwards, it has been seen";
    if !can_roll_out(workload) {
        return vec![edit(finding, format!("Take {variable} from a Secret"), why)];
    }
    let secret = format!("{}-{}", workload.name, variable.to_lowercase().replace('_', "-"));
    let create = kubectl(
        &workload.namespace,
        format!("create secret generic {} --from-literal={variable}=\"${variable}\"", quoted(&secret)),
    );
    let refer = kubectl(
        &workload.namespace,
        format!("set env {} -c {} --from=secret/{} --keys={variable}", target(workload), quoted(container), quoted(&secret)),
    );
    vec![fix(format!("Take {variable} from a Secret"), format!("{create} && {refer}"), Risk::Disruptive, why)]
}
