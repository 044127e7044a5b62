//! The runs of a CronJob fail for one reason: one incident for all of them, not one a run.

use std::collections::BTreeSet;

use super::{Found, Group, blast, dependencies, is_generic};
use crate::kinds::ObjectRef;
use crate::snapshot::Snapshot;

/// Gathers what the Jobs of a failing CronJob were found to fail of. The strongest cause that names a reason leads; when the
/// pods say no more than that they exit, "the last runs failed" says it better and leads itself.
pub(super) fn gather(snapshot: &Snapshot, groups: &mut Vec<Group<'_>>) {
    let failing: Vec<ObjectRef> = groups
        .iter()
        .filter(|group| group.id.cause.0 == "cronjob-failing")
        .flat_map(|group| group.workloads().cloned())
        .collect();
    for cron_job in failing {
        let runs = blast::related(snapshot, &cron_job);
        let (mut about, rest): (Vec<_>, Vec<_>) = std::mem::take(groups).into_iter().partition(|group| is_about(group, &runs));
        *groups = rest;
        let says = |group: &Group<'_>| (!generic(group), !is_of(group, &cron_job), group.weight());
        let best = about.iter().enumerate().max_by_key(|(_, group)| says(group)).map(|(at, _)| at);
        let Some(best) = best else { continue };
        let mut lead = about.swap_remove(best);
        for group in about {
            if group.id.cause == lead.id.cause || generic(&group) || is_of(&group, &cron_job) {
                lead.members.extend(group.members);
                lead.symptoms.extend(group.symptoms);
            } else {
                groups.push(group);
            }
        }
        groups.push(lead);
        groups.sort_by(|a, b| a.id.cmp(&b.id));
    }
}

/// The CronJobs whose runs these are: what a person would act on.
pub(super) fn owners(snapshot: &Snapshot, workloads: &BTreeSet<ObjectRef>) -> Vec<ObjectRef> {
    let runs = workloads.iter().filter(|w| &*w.kind == "Job").filter_map(|w| snapshot.jobs.named(&w.namespace, &w.name));
    let owned = runs.filter_map(|job| Some((job, job.meta.controller().filter(|owner| &*owner.kind == "CronJob")?)));
    owned.map(|(job, owner)| ObjectRef::new("CronJob", &job.meta.namespace, &owner.name)).collect()
}

/// The CronJob of a run.
pub(super) fn owner(snapshot: &Snapshot, run: &ObjectRef) -> Option<ObjectRef> {
    if &*run.kind != "Job" {
        return None;
    }
    owners(snapshot, &BTreeSet::from([run.clone()])).pop()
}

/// True when the group tells that runs fail, and the finding is that one did.
pub(super) fn says_of_runs(group: &Group<'_>, found: &Found<'_>) -> bool {
    group.id.cause.0 == "cronjob-failing" && found.finding.cause.0 == "job-failed"
}

fn is_about(group: &Group<'_>, runs: &BTreeSet<ObjectRef>) -> bool {
    let is_run = |workload: &ObjectRef| runs.contains(workload);
    // What is refused to others too: a quota has room for nobody.
    let refused = group.members.iter().any(|found| dependencies::is_refused(found.finding));
    if refused { group.workloads().any(is_run) } else { group.workloads().all(is_run) }
}

fn is_of(group: &Group<'_>, cron_job: &ObjectRef) -> bool {
    group.workloads().any(|workload| workload == cron_job)
}

fn generic(group: &Group<'_>) -> bool {
    group.members.first().is_some_and(|found| is_generic(found.finding))
}
