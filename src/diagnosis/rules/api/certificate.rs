//! `certificate-expiring`: certificates that are expired, about to be, or not issued.

use chrono::TimeDelta;

use crate::diagnosis::cause::{CauseId, Severity};
use crate::diagnosis::finding::{EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fact, fix, kubectl, quoted};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::kinds::extensions::Certificate;
use crate::kinds::{Condition, KindId, ObjectRef, Row};
use crate::text::{self, Time};

const CAUSES: &[CauseId] = &[CauseId("certificate-expiring")];

/// Certificates of cert-manager.
pub static CERTIFICATE: Rule = Rule {
    name: "certificate",
    causes: CAUSES,
    doc: "\
What it detects
  A Certificate of cert-manager that is expired, whose renewal is overdue, or that was never issued.
Reads
  status.{notAfter,renewalTime}, status.conditions[Ready] and [Issuing] with reason and message.
Source
  cert-manager API v1.
Look-alikes
  A certificate that is being issued for a few minutes, and one that is renewed in time, are no incident.
Fixes
  Repair what the issuer waits for (challenge, credentials); renew by hand.
",
    subject: KindId::Certificate,
    needs: &[],
    check: check_certificate,
    fixes,
};

/// TLS Secrets whose issuer notes the end of validity in an annotation.
pub static TLS_SECRET: Rule = Rule {
    name: "tls-secret",
    causes: CAUSES,
    doc: "\
What it detects
  A Secret whose certificate is expired or ends within two weeks, as far as its metadata tells.
Reads
  Annotations auth.openshift.io/certificate-not-after, service.beta.openshift.io/expiry, cert.gardener.cloud/expiry. Never the
  certificate itself: k3am does not read the contents of Secrets.
Source
  OpenShift service-ca and library-go; gardener cert-management.
Look-alikes
  Short-lived certificates are renewed in their last weeks: within two weeks it is a warning, after the end it is critical.
Fixes
  Renew it; restart what has loaded the old one.
",
    subject: KindId::Secret,
    needs: &[],
    check: check_secret,
    fixes,
};

/// Longer than issuing takes.
const ISSUING: TimeDelta = TimeDelta::minutes(10);
/// Renewal that is overdue by this much will not come by itself.
const OVERDUE: TimeDelta = TimeDelta::hours(6);
/// How early an end is worth a warning when nothing is known about its renewal.
const SOON: TimeDelta = TimeDelta::days(14);

fn check_certificate(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Certificate(certificate) = row else { return };
    if certificate.meta.deletion_timestamp.is_some() {
        return;
    }
    let status = &certificate.status;
    let not_ready = Condition::find(&status.conditions, "Ready").filter(|c| !c.is_true());
    if let Some(end) = status.not_after.filter(|end| *end <= facts.now) {
        let says = format!("the certificate is expired since {}", text::moment(end, facts.now));
        out.findings.push(of_certificate(facts, certificate, says, Some(end), Severity::Critical));
        return;
    }
    if let Some(condition) = not_ready {
        let since = condition.last_transition_time.or(certificate.meta.creation_timestamp);
        let due = since.map_or(facts.now, |s| s + ISSUING);
        if facts.now < due {
            out.recheck_at(due);
            return;
        }
        let why = crate::text::ellipsis(condition.message().trim_end_matches('.'), 200);
        let says = format!("the certificate is not ready: {why}");
        out.findings.push(of_certificate(facts, certificate, says, since, Severity::Warning));
        return;
    }
    let overdue = status.renewal_time.map(|at| at + OVERDUE).zip(status.not_after);
    if let Some((due, end)) = overdue {
        if facts.now < due {
            out.recheck_at(due);
            return;
        }
        let says = format!("the certificate ends {} and its renewal is overdue", text::timestamp(end));
        out.findings.push(of_certificate(facts, certificate, says, status.renewal_time, Severity::Warning));
    }
}

fn of_certificate(
    facts: &Facts<'_>,
    certificate: &Certificate,
    says: String,
    since: Option<Time>,
    severity: Severity,
) -> Finding {
    let meta = &certificate.meta;
    let object = ObjectRef::new("Certificate", &meta.namespace, &meta.name);
    let conditions = certificate.status.conditions.iter().filter(|c| matches!(&*c.kind, "Ready" | "Issuing"));
    let end = certificate.status.not_after;
    Draft::new(facts, "certificate-expiring", "Certificate", meta)
        .says(says)
        .severity(severity)
        .fact("secret", &certificate.spec.secret_name)
        .because_all(
            end.map(|t| draft::quote(object.clone(), EvidenceSource::Status, "status.notAfter", text::timestamp(t), Some(t))),
        )
        .because_all(conditions.map(|c| draft::condition(object.clone(), c)))
        .because(draft::quote(object.clone(), EvidenceSource::Spec, "spec.secretName", &*certificate.spec.secret_name, None))
        .since(since)
        .done()
}

fn check_secret(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Secret(secret) = row else { return };
    let Some(end) = secret.not_after else { return };
    if facts.now + SOON < end {
        out.recheck_at(end - SOON);
        return;
    }
    let expired = end <= facts.now;
    let says = if expired {
        format!("its certificate is expired since {}", text::moment(end, facts.now))
    } else {
        format!("its certificate ends {}", text::timestamp(end))
    };
    let object = ObjectRef::new("Secret", &secret.meta.namespace, &secret.meta.name);
    out.findings.push(
        Draft::new(facts, "certificate-expiring", "Secret", &secret.meta)
            .says(says)
            .severity(if expired { Severity::Critical } else { Severity::Warning })
            .fact("secret", &secret.meta.name)
            .because(draft::quote(object, EvidenceSource::Spec, "metadata.annotations (expiry)", text::timestamp(end), Some(end)))
            .since(expired.then_some(end))
            .done(),
    );
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let subject = &finding.subject;
    let mut fixes = Vec::new();
    if &*subject.kind == "Certificate" {
        fixes.push(fix(
            "Look at the request, the order and the challenge",
            kubectl(&subject.namespace, "get certificaterequests,orders,challenges -o wide"),
            Risk::Safe,
            "the last one that is not ready says what the issuer waits for",
        ));
        let secret = quoted(fact(finding, "secret"));
        fixes.push(fix(
            "Have it issued anew",
            kubectl(&subject.namespace, format!("delete secret {secret}")),
            Risk::Disruptive,
            "cert-manager then issues it again; what serves it has no certificate until then",
        ));
    }
    fixes.push(describe(subject, "who issued it and what uses it"));
    fixes
}
