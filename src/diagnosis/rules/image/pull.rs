//! `image-*`: why the node cannot get a container's image.

use std::sync::Arc;

use super::reference::{self, ImageReference};
use crate::actions::Intent;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Evidence, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{can_roll_out, fact, fix, kubectl, quoted, target, template_of, with_action};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pattern::Pattern;
use crate::kinds::pod_spec::{Container, PodSpec};
use crate::kinds::pods::{ContainerView, Pod};
use crate::kinds::{KindId, Row};

/// The rule.
pub static IMAGE_PULL: Rule = Rule {
    name: "image-pull",
    causes: &[
        CauseId("image-not-found"),
        CauseId("image-auth-denied"),
        CauseId("image-rate-limited"),
        CauseId("image-registry-unreachable"),
        CauseId("image-tls-untrusted"),
        CauseId("image-name-invalid"),
        CauseId("image-not-on-node"),
        CauseId("image-platform-mismatch"),
        CauseId("image-pull-failed"),
        CauseId("node-pressure"),
    ],
    doc: "\
What it detects
  A container that waits because its image cannot be pulled, and why: the registry has no such tag or repository, refuses the
  credentials, limits the rate, cannot be reached or trusted; the reference is malformed; the image has no build for the
  node's platform; the pull policy forbids pulling.
Reads
  status.{init,ephemeral,}containerStatuses[*].state.waiting.{reason,message} for ErrImagePull, ImagePullBackOff,
  RegistryUnavailable, SignatureValidationFailed, InvalidImageName, ErrImageNeverPull, ImageInspectError; on kubelets that only
  say \"Back-off pulling image\", the newest event Failed \"Failed to pull image ...\" of that container; event
  FailedToRetrieveImagePullSecret; spec.imagePullSecrets.
Source
  pkg/kubelet/images/{types,image_manager}.go; containerd core/remotes/docker; CRI-O server/image_pull.go.
Look-alikes
  \"no match for platform in manifest: not found\" ends like a missing tag; \"lookup x: no such host\" is DNS, not a missing image;
  \"pull access denied, repository does not exist or may require authorization\" is what Docker Hub says for both; \"no space left
  on device\" is the node's disk. They are told apart in that order.
Fixes
  Set the image that works (the previous revision's, or the tag without the typo); create or attach the pull secret; log in to
  raise the rate limit; repair name, registry or certificate.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

const REASONS: &[&str] = &[
    "ErrImagePull",
    "ImagePullBackOff",
    "RegistryUnavailable",
    "SignatureValidationFailed",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
];

/// Classes in the order they must be tried: earlier wordings contain words of later ones.
pub static CLASSES: [(&str, Pattern); 12] = [
    (
        "image-pull-failed",
        Pattern::new(
            r"because the signature validation failed|Source image rejected|A signature was required, but no signature exists",
        ),
    ),
    // The node's own runtime or its store, whatever the text says about connections; and what is no image at all.
    (
        "image-pull-failed",
        Pattern::new(
            r"dial unix \S+|unexpected media type|unsupported media type|unexpected commit digest|failed to (?:prepare|create prepare|stat) (?:extraction )?snapshot",
        ),
    ),
    ("image-name-invalid", Pattern::new(r"couldn't parse image name|invalid reference format|Failed to apply default image tag")),
    ("image-not-on-node", Pattern::new(r"is not present with pull policy of Never")),
    (
        "image-platform-mismatch",
        Pattern::new(
            r"no match for platform in manifest|no matching manifest for \S+|does not (?:provide|match) the specified platform|no image found in (?:manifest list|image index) for (?:architecture|platform)|no matching image for platform",
        ),
    ),
    (
        "image-rate-limited",
        Pattern::new(
            r"(?i)toomanyrequests|too many requests|\b429\b|pull rate limit|pull QPS exceeded|rate exceeded|quota exceeded for quota metric",
        ),
    ),
    (
        "image-registry-unreachable",
        Pattern::new(
            r"(?i)lookup \S+?(?: on \S+)?: (?:no such host|server misbehaving|i/o timeout|Temporary failure in name resolution|try again)|lookup \S+: Try again|no such host|proxyconnect tcp|server selection error",
        ),
    ),
    (
        "image-tls-untrusted",
        Pattern::new(
            r"x509: |tls: failed to verify certificate|remote error: tls: |certificate signed by unknown authority|certificate has expired|http: server gave HTTP response to HTTPS client|first record does not look like a TLS handshake|tls: handshake failure|tls: \w+ certificate",
        ),
    ),
    (
        "image-registry-unreachable",
        Pattern::new(
            r"(?i)dial tcp \S+: (?:connect: )?(?:connection refused|i/o timeout|no route to host|network is unreachable|connection timed out)|net/http: (?:TLS handshake timeout|request canceled)|unexpected status(?: code)?(?: from \w+ request)?(?: to)?(?: \S+?)?:? 5\d\d\b|unexpected HTTP status: 5\d\d|failed to do request: \w+ \S+: (?:Forbidden|Proxy Authentication Required)|status code \[?[^\]]*\]?:? 5\d\d|\b50[0234] (?:Internal Server Error|Bad Gateway|Service Unavailable|Gateway Time-?out)|because the registry is unavailable|Client\.Timeout exceeded|context deadline exceeded|connection reset by peer|connection refused|i/o timeout|unexpected EOF|: EOF$",
        ),
    ),
    (
        "image-auth-denied",
        Pattern::new(
            r"(?i)pull access denied|no basic auth credentials|401 unauthorized|403 forbidden|unexpected status:? 40[13]|status code \[?[^\]]*\]?:? 40[13]|unauthorized: |unauthorized$|insufficient_scope|requested access to the resource is denied|failed to fetch (?:oauth|anonymous) token|authorization token has expired|downloadArtifacts|authentication required|authorization failed|denied: |invalid username/password|no credentials|ImagePullSecret",
        ),
    ),
    ("node-pressure", Pattern::new(r"no space left on device")),
    (
        "image-not-found",
        Pattern::new(
            r"(?i)manifest[ _]unknown|manifest for \S+ not found|: not found\s*$|not found$|name[ _]unknown|404 not found|status code \[?[^\]]*\]?:? 404|does not exist (?:in|within) (?:the )?registry|repository \S* ?not found|requested image not found|repository does not exist|code = NotFound",
        ),
    ),
];

static PULL_EVENT: Pattern = Pattern::new(r#"^Failed to pull image "([^"]*)": "#);
static RPC: Pattern = Pattern::new(r"^rpc error: code = \w+ desc = ");

/// The cause of a pull error's text, by [`CLASSES`]; the generic cause when none fits.
pub fn classify(text: &str) -> &'static str {
    CLASSES.iter().find(|(_, pattern)| pattern.is_match(text)).map_or("image-pull-failed", |(cause, _)| cause)
}

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Pod(pod) = row else { return };
    if pod.is_finished() || pod.meta.deletion_timestamp.is_some() {
        return;
    }
    for view in pod.containers() {
        if REASONS.contains(&view.waiting_reason()) {
            out.findings.push(find(facts, pod, view));
        }
    }
}

fn find(facts: &Facts<'_>, pod: &Pod, view: ContainerView<'_>) -> Finding {
    let image = pod.spec.container(&view.status.name).map_or(&*view.status.image, |c| &*c.image);
    let parts = reference::parse(image);
    let (text, evidence) = error_text(facts, pod, view);
    let cause = match view.waiting_reason() {
        "InvalidImageName" => "image-name-invalid",
        "ErrImageNeverPull" => "image-not-on-node",
        "RegistryUnavailable" => "image-registry-unreachable",
        _ => classify(&text),
    };
    let certain = !matches!(cause, "image-pull-failed") && !text.is_empty();
    let ambiguous = text.contains("repository does not exist or may require");
    let mut draft = Draft::pod(facts, cause, pod)
        .container(&view.status.name)
        .sure(if certain && !ambiguous { Confidence::Certain } else { Confidence::Likely })
        .fact("image", image)
        .fact("registry", parts.host)
        .fact("repository", parts.repository)
        .maybe("tag", parts.tag)
        .says(sentence(cause, image, &parts, &text))
        .because_all(evidence)
        .because(draft::pod_spec(pod, format!("{}.image", pod.spec.container_path(&view.status.name)), image))
        .since(pod.meta.creation_timestamp);
    if matches!(cause, "image-auth-denied" | "image-rate-limited" | "image-registry-unreachable" | "image-tls-untrusted") {
        draft = draft.rooted_outside("registry", parts.host);
    }
    if cause == "node-pressure" {
        draft = draft.rooted_in("Node", "", pod.node_name.as_deref().unwrap_or_default());
    }
    for excluded in look_alikes(cause, ambiguous) {
        draft = draft.not(excluded);
    }
    if cause == "image-auth-denied" {
        draft = pull_secrets(facts, pod, draft);
    }
    draft.done()
}

/// The runtime's words: from the waiting message, else from the newest pull event of the container.
fn error_text(facts: &Facts<'_>, pod: &Pod, view: ContainerView<'_>) -> (String, Vec<Evidence>) {
    let reason = view.waiting_reason();
    let message = view.waiting_message();
    let mut evidence = vec![draft::pod_status(
        pod,
        format!("{}.state.waiting.message", view.path()),
        if message.is_empty() { reason } else { message },
        None,
    )];
    let backoff_only = message.starts_with("Back-off pulling image") && !message.contains("ErrImagePull: ");
    let own = message.split_once("ErrImagePull: ").map_or(message, |(_, rest)| rest);
    if !backoff_only && !own.is_empty() && own != reason {
        return (strip_rpc(own), evidence);
    }
    let events = facts.snapshot.events_of(KindId::Pod, &pod.meta);
    let pull = events.iter().rev().find(|e| {
        &*e.reason == "Failed" && e.container().is_none_or(|c| c == &*view.status.name) && PULL_EVENT.is_match(e.text())
    });
    let Some(pull) = pull else { return (String::new(), evidence) };
    evidence.insert(0, draft::event(pull));
    let text = PULL_EVENT.captures(pull.text()).and_then(|c| c.get(0).map(|m| m.end())).and_then(|at| pull.text().get(at..));
    (strip_rpc(text.unwrap_or(pull.text())), evidence)
}

/// Drops the wrapper, but keeps the gRPC code `NotFound`, which the classes read.
fn strip_rpc(text: &str) -> String {
    match RPC.captures(text).and_then(|c| c.get(0).map(|m| m.end())) {
        Some(end) if !text.contains("code = NotFound") => text.get(end..).unwrap_or(text).to_owned(),
        _ => text.to_owned(),
    }
}

fn sentence(cause: &str, image: &str, parts: &ImageReference<'_>, text: &str) -> String {
    let ImageReference { host, repository, .. } = parts;
    match cause {
        "image-not-found" => match (parts.tag, parts.digest) {
            (_, Some(digest)) => format!("the registry {host} has no {digest} of {repository}"),
            (Some(tag), None) => format!("the registry {host} has no tag {tag} of {repository}"),
            (None, None) => format!("the registry {host} has no image {image}"),
        },
        "image-auth-denied" => {
            format!("the registry {host} refuses to give {image}: credentials are missing, wrong or lack the right")
        }
        "image-rate-limited" => format!("the registry {host} limits the pull rate (429) for {image}"),
        "image-registry-unreachable" => format!("the node cannot reach the registry {host} for {image}"),
        "image-tls-untrusted" => format!("the node does not trust the connection to the registry {host}"),
        "image-name-invalid" => format!("{image} is not a valid image reference"),
        "image-not-on-node" => format!("{image} is not on the node and the pull policy is Never"),
        "image-platform-mismatch" => format!("{image} has no build for the node's platform"),
        "node-pressure" => format!("the node's disk is full: {image} cannot be unpacked"),
        _ if text.is_empty() => format!("{image} cannot be pulled, and the kubelet's reason is gone"),
        _ => format!("{image} cannot be pulled: {}", crate::text::ellipsis(unwrapped(text, image), 160)),
    }
}

/// The error without what repeats the image's name in front of it.
fn unwrapped<'t>(text: &'t str, image: &str) -> &'t str {
    let mut text = text;
    for verb in ["pull and unpack image", "resolve reference", "resolve image"] {
        let rest = text.strip_prefix("failed to ").and_then(|rest| rest.strip_prefix(verb));
        let Some((named, rest)) = rest.and_then(|rest| rest.split_once(": ")) else { continue };
        // A colon and a blank stand in no reference: what was cut off is the quoted name, or nothing.
        if named.is_empty() || named.contains(reference::parse(image).repository.rsplit('/').next().unwrap_or(image)) {
            text = rest;
        }
    }
    text
}

fn look_alikes(cause: &str, ambiguous: bool) -> Vec<&'static str> {
    match cause {
        "image-not-found" => vec![
            "credentials: the registry answered that there is no such image, not 401 or 403",
            "network: the registry answered",
        ],
        "image-auth-denied" if ambiguous => {
            vec!["network: the registry answered (it says the same for a repository that does not exist: check the name too)"]
        }
        "image-auth-denied" => vec!["a missing tag: the registry answered 401 or 403, not 404", "network: the registry answered"],
        "image-rate-limited" => vec!["credentials and tag: the registry refused before looking at either"],
        "image-registry-unreachable" => vec!["a missing tag or wrong credentials: no registry answered"],
        _ => Vec::new(),
    }
}

fn pull_secrets(facts: &Facts<'_>, pod: &Pod, draft: Draft) -> Draft {
    let names: Vec<&str> = pod.spec.image_pull_secrets.iter().map(|s| &*s.name).collect();
    let draft = match names.as_slice() {
        [] => draft.because(draft::pod_spec(pod, "spec.imagePullSecrets", "(none)")),
        [first, ..] => draft.fact("pullSecret", first).because(draft::pod_spec(pod, "spec.imagePullSecrets", names.join(", "))),
    };
    let events = facts.snapshot.events_of(KindId::Pod, &pod.meta);
    match events.iter().rev().find(|e| &*e.reason == "FailedToRetrieveImagePullSecret") {
        Some(missing) => draft.because(draft::event(missing)).fact("pullSecretMissing", "true"),
        None => draft,
    }
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    match finding.cause.0 {
        "image-not-found" | "image-name-invalid" | "image-pull-failed" | "image-platform-mismatch" => wrong_image(facts, finding),
        "image-auth-denied" | "image-rate-limited" => credentials(finding),
        "image-not-on-node" => pull_policy(facts, finding),
        "node-pressure" => node_disk(finding),
        _ => registry(finding),
    }
}

/// The image of that container that an older revision of the workload used, or a ready pod of the namespace runs from the same
/// repository (what runs in another namespace may be another release).
fn known_good(facts: &Facts<'_>, finding: &Finding) -> Option<(String, String)> {
    let (container, image) = (fact(finding, "container"), fact(finding, "image"));
    let workload = facts.snapshot.find(&finding.workload)?;
    let mut older: Vec<_> = facts.snapshot.replica_sets.controlled_by(&workload.meta().uid).collect();
    older.sort_by_key(|rs| std::cmp::Reverse((rs.status.ready_replicas > 0, rs.revision())));
    let previous = older.iter().find_map(|rs| {
        let other = &rs.spec.template.spec.container(container)?.image;
        (&**other != image).then(|| (other.to_string(), format!("revision {} uses it", rs.revision().unwrap_or_default())))
    });
    previous.or_else(|| {
        let repository = fact(finding, "repository");
        let last = repository.rsplit('/').next().unwrap_or(repository);
        // Most images are told apart without being parsed, and pods of one template share one spec: look into it once.
        let alike = |other: &str| other != image && other.contains(last) && reference::parse(other).repository == repository;
        let mut known: Option<(&Arc<PodSpec>, Option<&Container>)> = None;
        facts.snapshot.pods.in_namespace(&finding.workload.namespace).find_map(|p| {
            let found = match known {
                Some((spec, found)) if Arc::ptr_eq(spec, &p.spec) => found,
                _ => p.spec.containers.iter().find(|c| alike(&c.image)),
            };
            known = Some((&p.spec, found));
            let c = found.filter(|_| p.is_ready())?;
            Some((c.image.to_string(), format!("pod {} runs it", p.meta.name)))
        })
    })
}

fn wrong_image(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let mut fixes = Vec::new();
    let (repository, image) = (fact(finding, "repository"), fact(finding, "image"));
    if let Some((good, why)) = known_good(facts, finding) {
        fixes.extend(set_image(finding, &good, why));
    }
    if let Some(tag) = finding.facts.get("tag").and_then(|t| reference::digit_typo(t)) {
        fixes.extend(set_image(finding, &format!("{repository}:{tag}"), "a letter stands where the tag has digits".to_owned()));
    }
    if finding.cause.0 == "image-platform-mismatch" {
        let command = format!("docker manifest inspect {}", quoted(image));
        fixes.push(fix("See which platforms the image has", command, Risk::Safe, "the node's platform must be among them"));
    } else if finding.cause.0 != "image-name-invalid" {
        let command = format!("skopeo list-tags {}", quoted(&format!("docker://{repository}")));
        fixes.push(fix(
            "List the tags the registry has",
            command,
            Risk::Safe,
            "shows whether the tag was pushed under another name",
        ));
    }
    fixes.push(super::super::commands::edit(finding, "Correct the image by hand", format!("it says {image} now")));
    fixes
}

fn set_image(finding: &Finding, image: &str, why: String) -> Option<Fix> {
    let workload = &finding.workload;
    if !can_roll_out(workload) {
        return None;
    }
    let container = fact(finding, "container");
    let assignment = quoted(&format!("{container}={image}"));
    let command = kubectl(&workload.namespace, format!("set image {} {assignment}", target(workload)));
    let intent = Intent::SetImage { workload: workload.clone(), container: container.to_owned(), image: image.to_owned() };
    Some(with_action(fix(format!("Set the image to {image}"), command, Risk::Safe, why), intent))
}

fn credentials(finding: &Finding) -> Vec<Fix> {
    let namespace = &finding.workload.namespace;
    let host = fact(finding, "registry");
    let secret = finding.facts.get("pullSecret").map_or("regcred", |s| &**s);
    let server = if host == "docker.io" { "https://index.docker.io/v1/" } else { host };
    let create = kubectl(
        namespace,
        format!(
            "create secret docker-registry {} --docker-server={} --docker-username=\"$REGISTRY_USER\" --docker-password=\"$REGISTRY_PASSWORD\"",
            quoted(secret),
            quoted(server)
        ),
    );
    let mut fixes = vec![fix(
        format!("Create the pull secret {secret} for {host}"),
        create,
        Risk::Safe,
        "the registry wants a login; set REGISTRY_USER and REGISTRY_PASSWORD in your shell first",
    )];
    if can_roll_out(&finding.workload) && !finding.facts.contains_key("pullSecret") {
        let patch = format!(r#"{{"spec":{{"template":{{"spec":{{"imagePullSecrets":[{{"name":"{secret}"}}]}}}}}}}}"#);
        let command = kubectl(namespace, format!("patch {} -p {}", target(&finding.workload), quoted(&patch)));
        fixes.push(fix(format!("Let {} use it", finding.workload), command, Risk::Disruptive, "the pods name no pull secret"));
    }
    fixes
}

fn pull_policy(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let container = fact(finding, "container");
    let mut fixes = Vec::new();
    if can_roll_out(&finding.workload) && template_of(facts, &finding.workload).is_some() {
        let patch = format!(
            r#"{{"spec":{{"template":{{"spec":{{"containers":[{{"name":"{container}","imagePullPolicy":"IfNotPresent"}}]}}}}}}}}"#
        );
        let command = kubectl(&finding.workload.namespace, format!("patch {} -p {}", target(&finding.workload), quoted(&patch)));
        fixes.push(fix(
            "Allow the node to pull it",
            command,
            Risk::Safe,
            "the pull policy Never only works for images already on the node",
        ));
    }
    fixes.push(super::super::commands::edit(
        finding,
        "Edit image or pull policy",
        "the image must be loaded on the node, or be pullable",
    ));
    fixes
}

fn node_disk(finding: &Finding) -> Vec<Fix> {
    let crate::diagnosis::finding::Root::Object(node) = &finding.root else { return Vec::new() };
    vec![
        super::super::commands::cordon(&node.name, "Keep new pods off the node", "its disk is full"),
        super::super::commands::describe(node, "shows DiskPressure and what the kubelet tried to free"),
    ]
}

fn registry(finding: &Finding) -> Vec<Fix> {
    let host = fact(finding, "registry");
    let url = if host == "docker.io" { "https://registry-1.docker.io/v2/".to_owned() } else { format!("https://{host}/v2/") };
    let probe = fix(
        "Ask the registry from here",
        format!("curl -sSI {}", quoted(&url)),
        Risk::Safe,
        "tells whether the registry or the node's way to it is broken",
    );
    vec![
        probe,
        super::super::commands::edit(finding, "Correct the registry's name", format!("the image is {}", fact(finding, "image"))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_compiles() {
        assert!(CLASSES.iter().all(|(_, p)| p.regex().is_some()));
    }
}
