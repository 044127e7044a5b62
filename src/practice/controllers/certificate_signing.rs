//! The certificate controllers: what was approved for one of Kubernetes' own signers is signed (`pkg/controller/certificates/signer`).

use super::super::base64;
use super::super::certificates::{Authority, Request, Terms};
use super::super::clock::Clock;
use super::super::object;
use super::super::resources::{CERTIFICATE_SIGNING_REQUESTS, ResourceType};
use super::super::store::{Store, Writer};
use super::{Change, Controller, Key};
use serde_json::{Value, json};
use std::time::Duration;

const MANAGER: &str = "kube-controller-manager";
/// A certificate is good for a year where the request asks for no less (`--cluster-signing-duration`), and from five minutes ago.
const YEAR_SECONDS: i64 = 365 * 24 * 3600;
const BACKDATE_SECONDS: i64 = 300;

/// A signer: its name, the usage it must be asked for, and all it allows.
type Signer = (&'static str, &'static str, &'static [&'static str]);

const SIGNERS: &[Signer] = &[
    ("kubernetes.io/kube-apiserver-client", "client auth", &["client auth", "digital signature", "key encipherment"]),
    ("kubernetes.io/kube-apiserver-client-kubelet", "client auth", &["client auth", "digital signature", "key encipherment"]),
    ("kubernetes.io/kubelet-serving", "server auth", &["server auth", "digital signature", "key encipherment"]),
];

/// See the module.
pub struct CertificateSigning {
    store: Store,
    clock: Clock,
    authority: Option<Authority>,
}

impl CertificateSigning {
    /// A controller over a store, with an authority of its own.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, authority: Authority::new() }
    }

    fn sign(&self, asked: &Value, signer: &Signer) -> Result<String, String> {
        let usages: Vec<String> =
            object::items(asked, "/spec/usages").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let (_, needed, allowed) = signer;
        if !usages.iter().any(|usage| usage == needed) || usages.iter().any(|usage| !allowed.contains(&usage.as_str())) {
            return Err(format!("invalid usage for {} certificate: {usages:?}", needed.split(' ').next().unwrap_or_default()));
        }
        let written = base64::decode(object::text(asked, "/spec/request")).unwrap_or_default();
        let request = Request::read(&String::from_utf8_lossy(&written))?;
        let seconds = object::int(asked, "/spec/expirationSeconds").unwrap_or(YEAR_SECONDS).clamp(600, YEAR_SECONDS);
        let now = self.clock.now();
        let valid = (now - chrono::Duration::seconds(BACKDATE_SECONDS), now + chrono::Duration::seconds(seconds));
        let authority = self.authority.as_ref().ok_or("no signing key")?;
        authority.sign(&request, &Terms { valid, usages: &usages }).ok_or_else(|| "signing failed".to_owned())
    }
}

impl Controller for CertificateSigning {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&CERTIFICATE_SIGNING_REQUESTS]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        vec![(String::new(), object::name(&change.object).to_owned())]
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let asked = self.store.get(&CERTIFICATE_SIGNING_REQUESTS, "", &key.1)?;
        let holds = |kind: &str| object::condition_is_true(&asked, kind);
        let waits = holds("Approved") && !holds("Denied") && !holds("Failed");
        if !waits || !object::text(&asked, "/status/certificate").is_empty() {
            return None;
        }
        let signer = SIGNERS.iter().find(|signer| signer.0 == object::text(&asked, "/spec/signerName"))?;
        let signed = self.sign(&asked, signer);
        let now = object::stamp(self.clock.now());
        let _ = self.store.modify(&CERTIFICATE_SIGNING_REQUESTS, "", &key.1, Writer::status(MANAGER), |asked| match signed {
            Ok(certificate) => {
                object::put(asked, &["status", "certificate"], json!(base64::encode(certificate.as_bytes())));
            }
            Err(why) => {
                let mut conditions = object::items(asked, "/status/conditions").to_vec();
                conditions.push(json!({"type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": why,
                    "lastUpdateTime": now, "lastTransitionTime": now}));
                object::put(asked, &["status", "conditions"], json!(conditions));
            }
        });
        None
    }
}
