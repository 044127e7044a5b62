//! ConfigMaps and Secrets: metadata, and the names of their keys where a bundle shows them. **Never a Secret's values**; of a
//! ConfigMap's the short ones that tell addresses, pools and workers, without the credentials of an address.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Meta, kind};
use crate::text::{Text, Time};

/// A ConfigMap's metadata.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, from = "Wire<Short>")]
pub struct ConfigMap {
    /// `metadata`.
    pub meta: Meta,
    /// Key names of `data` and `binaryData`; `None` when only metadata was listed (live).
    pub keys: Option<Vec<Text>>,
    /// Values that a variable may take and a rule reads, see [`kept`]; empty when only metadata was listed (live).
    pub settings: Vec<(Text, Text)>,
}

/// A Secret's metadata.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, from = "Wire<IgnoredAny>")]
pub struct Secret {
    /// `metadata`.
    pub meta: Meta,
    /// Key names of `data`; `None` when only metadata was listed (live).
    pub keys: Option<Vec<Text>>,
    /// `Opaque`, `kubernetes.io/tls`, ...; `None` when only metadata was listed.
    pub kind: Option<Text>,
    /// When its certificate expires, where the issuer noted it beside it.
    pub not_after: Option<Time>,
}

/// Annotations that hold the end of a certificate's validity.
const EXPIRY: &[&str] = &[
    "auth.openshift.io/certificate-not-after",
    "service.beta.openshift.io/expiry",
    "service.alpha.openshift.io/expiry",
    "cert.gardener.cloud/expiry",
];

/// A ConfigMap's value, when it is a string that could be a variable's.
#[derive(Default)]
struct Short(Option<Text>);

const SHORT: usize = 200;

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Ok(Self((text.len() <= SHORT && !text.contains('\n')).then(|| Text::from(&*text))))
    }
}

/// Words in the keys of ConfigMaps whose values rules read: where the database is, and how many connections a pod opens.
const READ: &[&str] = &[
    "pool",
    "conn",
    "worker",
    "concurrency",
    "overflow",
    "threads",
    "database",
    "db",
    "pg",
    "postgres",
    "mysql",
    "sql",
    "url",
    "dsn",
    "host",
];
/// Words in the keys of values that are nobody's to keep.
const HIDDEN: &[&str] = &["pass", "secret", "token", "key", "cred", "auth"];

/// The value to keep of a key: none of most, and an address without its user and password.
fn kept(key: &str, value: &str) -> Option<Text> {
    let key = key.to_ascii_lowercase();
    if !READ.iter().any(|word| key.contains(word)) || HIDDEN.iter().any(|word| key.contains(word)) {
        return None;
    }
    // Only what is plainly a number, or a host with or without its port: any other form may hold a password anywhere.
    let is_plain = |text: &str| {
        let (host, port) = text.split_once(':').unwrap_or((text, "0"));
        host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) && port.bytes().all(|b| b.is_ascii_digit())
    };
    match value.split_once("://") {
        None => is_plain(value).then(|| value.into()),
        Some((scheme, rest)) => {
            let (server, parameters) = rest.split_once('?').unwrap_or((rest, ""));
            let server = server.rsplit_once('@').map_or(server, |(_, server)| server);
            let counts = parameters.split('&').filter(|pair| {
                pair.split_once('=').is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
            });
            Some(format!("{scheme}://{server}?{}", counts.collect::<Vec<_>>().join("&")).into())
        }
    }
}

/// Values of Secrets are skipped while parsing: they never exist in memory as strings of ours.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default, bound = "V: Deserialize<'de> + Default")]
struct Wire<V> {
    metadata: Meta,
    kind: Text,
    #[serde(rename = "type")]
    secret_type: Option<Text>,
    data: Option<BTreeMap<Text, V>>,
    binary_data: Option<BTreeMap<Text, IgnoredAny>>,
}

impl<V> Default for Wire<V> {
    fn default() -> Self {
        Self { metadata: Meta::default(), kind: Text::default(), secret_type: None, data: None, binary_data: None }
    }
}

impl<V> Wire<V> {
    /// Unknown when only metadata came. Items of a list need not say their kind: without it, no data may mean either.
    fn keys(&self) -> Option<Vec<Text>> {
        let whole = matches!(&*self.kind, "ConfigMap" | "Secret") || self.data.is_some() || self.binary_data.is_some();
        let data = || self.data.iter().flat_map(|data| data.keys());
        let keys = || data().chain(self.binary_data.iter().flat_map(|data| data.keys())).cloned().collect();
        whole.then(keys)
    }
}

impl From<Wire<Short>> for ConfigMap {
    fn from(wire: Wire<Short>) -> Self {
        let short = wire.data.iter().flatten().filter_map(|(key, value)| Some((key, value.0.as_deref()?)));
        let settings = short.filter_map(|(key, value)| Some((key.clone(), kept(key, value)?))).collect();
        Self { keys: wire.keys(), settings, meta: wire.metadata }
    }
}

impl From<Wire<IgnoredAny>> for Secret {
    fn from(wire: Wire<IgnoredAny>) -> Self {
        let not_after = EXPIRY.iter().find_map(|key| wire.metadata.annotation(key)?.parse().ok());
        Self { keys: wire.keys(), meta: wire.metadata, kind: wire.secret_type, not_after }
    }
}

kind!(ConfigMap, "" / "v1", "ConfigMap", "configmaps", namespaced: true, metadata_only: true, |_this, _pool| {});
kind!(Secret, "" / "v1", "Secret", "secrets", namespaced: true, metadata_only: true, |this, _pool| {
    // Annotations of Secrets may repeat their data (kubectl apply and other tools): keep none.
    this.meta.annotations.clear();
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_of_a_config_map_is_kept() {
        let map: ConfigMap = serde_json::from_value(serde_json::json!({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {
            "DATABASE_URL": "postgresql+asyncpg://app:hunter2@pg.data:5432/app?pool_size=20&sslpassword=hunter3",
            "DB_PASSWORD": "hunter4", "DB_POOL_SIZE": "20", "DB_DSN": "host=pg password=hunter5", "DB_LOGIN": "app:hunter6", "LOG_LEVEL": "info",
        }}))
        .expect("a ConfigMap");
        let settings: Vec<(&str, &str)> = map.settings.iter().map(|(key, value)| (&**key, &**value)).collect();
        let url = "postgresql+asyncpg://pg.data:5432/app?pool_size=20";
        assert_eq!(settings, [("DATABASE_URL", url), ("DB_POOL_SIZE", "20")]);
        assert_eq!(map.keys.map(|keys| keys.len()), Some(6));
    }
}
