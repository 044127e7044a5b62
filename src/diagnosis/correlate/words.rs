//! Titles and sentences out of findings. Nothing is claimed here that a finding's evidence does not carry.

use crate::changes::redact;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::incident::Incident;
use crate::kinds::ObjectRef;

/// `fastapi-deployment: the registry has no tag v1.0.1 of you/your-app`, with ` and 2 more` for a shared root.
pub(super) fn title(members: &[&Finding], workloads: &[ObjectRef]) -> String {
    let Some(strongest) = members.first() else { return String::new() };
    let summary = strongest.summary.split_whitespace().collect::<Vec<_>>().join(" ");
    // A CronJob's own runs are no others.
    let is_run = |w: &ObjectRef| &*w.kind == "Job";
    let cron_job = workloads.iter().find(|w| &*w.kind == "CronJob").filter(|cron_job| {
        strongest.workload == **cron_job || is_run(&strongest.workload) && strongest.workload.name.starts_with(&*cron_job.name)
    });
    let lead = cron_job.unwrap_or(&strongest.workload);
    let more = match workloads.iter().filter(|w| cron_job.is_none() || !is_run(w)).count().saturating_sub(1) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let name = name(lead);
    // A summary that already begins with the name is not told it twice: `node node3 is not ready`.
    match summary.strip_prefix(&name).filter(|rest| rest.starts_with(' ')) {
        Some(_) => summary,
        None => format!("{name}{more}: {summary}"),
    }
}

/// A workload as people call it: the bare name where the kind is plain, else with its kind.
fn name(object: &ObjectRef) -> String {
    match &*object.kind {
        "Deployment" | "StatefulSet" | "DaemonSet" => object.name.to_string(),
        "HorizontalPodAutoscaler" => format!("autoscaler {}", object.name),
        "PersistentVolumeClaim" => format!("claim {}", object.name),
        kind => format!("{} {}", kind.to_lowercase(), object.name),
    }
}

/// A finding's summary as a sentence.
pub(super) fn sentence(summary: &str) -> String {
    let mut chars = summary.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", chars.as_str())
}

/// One line for something folded under an incident; it says about what unless that is the incident's own workload.
pub(super) fn symptom(finding: &Finding, workloads: &[ObjectRef]) -> String {
    if workloads.contains(&finding.workload) && !super::blast::is_route(&finding.workload) {
        finding.summary.clone()
    } else {
        format!("{}: {}", name(&finding.workload), finding.summary)
    }
}

/// Hides passwords in everything an incident says, so that no screen, report or clipboard has to.
pub(super) fn redacted(mut incident: Incident) -> Incident {
    let lines = incident.symptoms.iter_mut().chain(&mut incident.ruled_out);
    for text in lines.chain([&mut incident.title, &mut incident.summary]) {
        hide(text);
    }
    incident.evidence.iter_mut().for_each(|quote| hide(&mut quote.text));
    for fix in &mut incident.fixes {
        hide(&mut fix.title);
        hide(&mut fix.command);
        hide(&mut fix.why);
    }
    incident
}

fn hide(text: &mut String) {
    *text = redact::text(text);
}
