//! `ingress-backend-missing`: an Ingress sends traffic to a Service or port that does not exist.

use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, edit, fact, fix, kubectl, quoted};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::kinds::network::{Ingress, IngressService};
use crate::kinds::{KindId, ObjectRef, Row};

/// The rule.
pub static INGRESS: Rule = Rule {
    name: "ingress-backend",
    causes: &[CauseId("ingress-backend-missing"), CauseId("secret-missing")],
    doc: "\
What it detects
  An Ingress whose backend names a Service that does not exist, or a port the Service does not have; a TLS secret that is missing;
  an ingress class that does not exist.
Reads
  spec.rules[].http.paths[].backend.service, spec.defaultBackend, spec.tls[].secretName, spec.ingressClassName, against the listed
  Services, Secrets and IngressClasses.
Source
  networking.k8s.io/v1; controllers answer such paths with 503 or 404 and say so only in their own log.
Look-alikes
  A Service without ready endpoints exists: that is service-no-endpoints. Lists that were not read prove nothing.
Fixes
  Correct the backend, or create the Service.
",
    subject: KindId::Ingress,
    needs: &[KindId::Service],
    check,
    fixes,
};

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Ingress(ingress) = row else { return };
    if ingress.meta.deletion_timestamp.is_some() {
        return;
    }
    let default =
        ingress.spec.default_backend.iter().filter_map(|b| Some(("spec.defaultBackend".to_owned(), b.service.as_ref()?)));
    let paths = ingress.spec.rules.iter().enumerate().flat_map(|(i, rule)| {
        rule.http.paths.iter().enumerate().filter_map(move |(j, path)| {
            Some((format!("spec.rules[{i}].http.paths[{j}].backend.service"), path.backend.service.as_ref()?))
        })
    });
    if let Some(finding) = default.chain(paths).find_map(|(field, backend)| broken(facts, ingress, &field, backend)) {
        out.findings.push(finding);
    } else {
        out.findings.extend(no_class(facts, ingress));
    }
    tls(facts, ingress, out);
}

/// It names a class that does not exist, and no controller has given it an address.
fn no_class(facts: &Facts<'_>, ingress: &Ingress) -> Option<Finding> {
    let class = ingress.spec.ingress_class_name.as_deref()?;
    let known = facts.snapshot.coverage.is_complete(KindId::IngressClass, "");
    if !known || facts.snapshot.ingress_classes.named("", class).is_some() || !ingress.status.load_balancer.ingress.is_empty() {
        return None;
    }
    let classes: Vec<&str> = facts.snapshot.ingress_classes.iter().map(|c| &*c.meta.name).collect();
    let there_are = if classes.is_empty() { "there is none".to_owned() } else { format!("there is {}", classes.join(", ")) };
    Some(
        Draft::new(facts, "ingress-backend-missing", "Ingress", &ingress.meta)
            .says(format!("no controller serves it: its class {class} does not exist ({there_are})"))
            .fact("class", class)
            .because(draft::quote(reference(ingress), EvidenceSource::Spec, "spec.ingressClassName", class, None))
            .because(draft::quote(reference(ingress), EvidenceSource::Status, "status.loadBalancer.ingress", "(empty)", None))
            .done(),
    )
}

fn reference(ingress: &Ingress) -> ObjectRef {
    ObjectRef::new("Ingress", &ingress.meta.namespace, &ingress.meta.name)
}

fn broken(facts: &Facts<'_>, ingress: &Ingress, field: &str, backend: &IngressService) -> Option<Finding> {
    let namespace = &ingress.meta.namespace;
    let wanted =
        backend.port.name.as_deref().map(str::to_owned).or(backend.port.number.map(|n| n.to_string())).unwrap_or_default();
    let draft = Draft::new(facts, "ingress-backend-missing", "Ingress", &ingress.meta)
        .fact("service", &backend.name)
        .because(draft::quote(reference(ingress), EvidenceSource::Spec, field, format!("{} port {wanted}", backend.name), None));
    let Some(service) = facts.snapshot.services.named(namespace, &backend.name) else {
        return Some(draft.says(format!("it sends traffic to Service {}, which does not exist", backend.name)).done());
    };
    if &*service.spec.kind.clone().unwrap_or_default() == "ExternalName" {
        return None;
    }
    let has = service.spec.ports.iter().any(|p| match (&backend.port.name, backend.port.number) {
        (Some(name), _) => p.name.as_ref() == Some(name),
        (None, Some(number)) => i64::from(p.port) == number,
        (None, None) => true,
    });
    if has {
        return None;
    }
    let ports = service.spec.ports.iter().map(|p| p.port.to_string()).collect::<Vec<_>>().join(", ");
    let object = ObjectRef::new("Service", namespace, &backend.name);
    let quote = draft::quote(object, EvidenceSource::Spec, "spec.ports[*].port", ports.clone(), None);
    Some(
        draft
            .says(format!("it sends traffic to port {wanted} of Service {}, which has {ports}", backend.name))
            .because(quote)
            .done(),
    )
}

fn tls(facts: &Facts<'_>, ingress: &Ingress, out: &mut Output) {
    let namespace = &ingress.meta.namespace;
    if !facts.snapshot.coverage.is_complete(KindId::Secret, namespace) {
        return;
    }
    let names = ingress.spec.tls.iter().filter_map(|t| t.secret_name.as_deref()).filter(|n| !n.is_empty());
    for name in names.filter(|name| facts.snapshot.secrets.named(namespace, name).is_none()) {
        out.findings.push(
            Draft::new(facts, "secret-missing", "Ingress", &ingress.meta)
                .says(format!("its TLS secret {name} does not exist in namespace {namespace}"))
                .fact("secret", name)
                .rooted_in("Secret", namespace, name)
                .because(draft::quote(reference(ingress), EvidenceSource::Spec, "spec.tls[*].secretName", name, None))
                .done(),
        );
    }
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let namespace = &finding.subject.namespace;
    let secret = fact(finding, "secret");
    let mut fixes = Vec::new();
    if !fact(finding, "class").is_empty() {
        let list = "kubectl get ingressclasses";
        fixes.push(fix("List the classes there are", list, Risk::Safe, "the right one may be called a little differently"));
        fixes.push(edit(finding, "Correct the class", format!("it names {}", fact(finding, "class"))));
    } else if secret.is_empty() {
        fixes.push(edit(finding, "Correct the backend", format!("it names {}", fact(finding, "service"))));
        fixes.push(fix(
            "List the Services there are",
            kubectl(namespace, "get services"),
            Risk::Safe,
            "the right one may be called a little differently",
        ));
    } else {
        let command = format!("create secret tls {} --cert=tls.crt --key=tls.key", quoted(secret));
        fixes.push(fix(
            format!("Create the TLS secret {secret}"),
            kubectl(namespace, command),
            Risk::Safe,
            "from the certificate and key files in this directory",
        ));
    }
    fixes.push(describe(&finding.subject, "backends as the controller sees them"));
    fixes
}
