//! Whose log a file is, by where it lies and what it is called, given the pods of the bundle.
//!
//! Layouts: `NS/POD/CONTAINER[.previous].log`, `pods/POD/CONTAINER/CONTAINER/logs/{current,previous}.log` of a must-gather,
//! `pods/logs/NS/POD/CONTAINER[-previous].log` of a support bundle, `NS_POD_UID/CONTAINER/N.log` and `POD_NS_CONTAINER-ID.log` of a
//! node's `/var/log`, `POD.log`, and `POD`, `CONTAINER` and `NS` joined in one name by `-`, `_` or `.`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::kinds::pods::Pod;
use crate::snapshot::LogKey;
use crate::text::Text;

/// Words that mark the log of the run before, at the end or the beginning of a name.
const PREVIOUS: &[&str] = &["previous", "prev", "last", "old"];
/// Names of files that say nothing of whose log they are.
const PLAIN: &[&str] = &["current", "logs", "log", "stdout", "output", "container", ""];

/// The pods of a bundle, by name.
#[derive(Default)]
pub(super) struct Pods(HashMap<Text, Vec<Arc<Pod>>>);

impl Pods {
    pub fn new<'a>(pods: impl Iterator<Item = &'a Arc<Pod>>) -> Self {
        let mut by_name: HashMap<Text, Vec<Arc<Pod>>> = HashMap::new();
        for pod in pods {
            by_name.entry(pod.meta.name.clone()).or_default().push(Arc::clone(pod));
        }
        Self(by_name)
    }

    /// The pod of that name; of several the one whose namespace is among `words`.
    fn find(&self, name: &str, words: &[&str]) -> Option<&Arc<Pod>> {
        match self.0.get(name)?.as_slice() {
            [pod] => Some(pod),
            several => several.iter().rev().find(|pod| words.contains(&&*pod.meta.namespace)),
        }
    }

    /// Whose log the file at `path` is.
    pub fn log_of(&self, path: &str) -> Option<LogKey> {
        let mut folders: Vec<&str> = path.split('/').collect();
        let file = folders.pop()?;
        let (stem, mut previous) = stem_of(file);
        previous |= folders.last().is_some_and(|folder| PREVIOUS.contains(folder));
        self.in_folder(&folders, stem, previous)
            .or_else(|| self.in_name(&folders, stem, previous))
            .or_else(|| unknown_pod(&folders, stem, previous))
    }

    /// A folder is named after the pod.
    fn in_folder(&self, folders: &[&str], stem: &str, previous: bool) -> Option<LogKey> {
        let (at, pod) = folders.iter().enumerate().rev().find_map(|(at, folder)| {
            // `/var/log/pods/NAMESPACE_POD_UID`: neither part may hold an underscore.
            let parts: Vec<&str> = folder.split('_').collect();
            let name = if let [_, pod, _] = parts.as_slice() { pod } else { *folder };
            let words = if parts.len() == 3 { parts.as_slice() } else { folders.get(..at).unwrap_or_default() };
            Some((at, self.find(name, words)?))
        })?;
        let below = folders.get(at + 1..).unwrap_or_default();
        let known = below.iter().find_map(|folder| container(pod, folder)).or_else(|| container(pod, stem));
        let rotated = stem.chars().all(|c| c.is_ascii_digit());
        let name = match known {
            Some(name) => name,
            None if PLAIN.contains(&stem) || rotated || stem == &*pod.meta.name => only_container(pod)?,
            // A container that the pod no longer has, or that the bundle's copy of it does not show.
            None if below.is_empty() => stem.into(),
            None => return None,
        };
        Some(key(pod, name, previous))
    }

    /// The name of the file holds the pod's: the longest that fits, and nothing beside it but its namespace and a container.
    fn in_name(&self, folders: &[&str], stem: &str, previous: bool) -> Option<LogKey> {
        let cuts = |from: &'static [char]| stem.char_indices().filter(move |(_, c)| from.contains(c)).map(|(at, _)| at);
        let separators: &'static [char] = &['-', '_', '.'];
        let starts: Vec<usize> = std::iter::once(0).chain(cuts(separators).map(|at| at + 1)).collect();
        let ends: Vec<usize> = cuts(separators).chain(std::iter::once(stem.len())).collect();
        let mut best: Option<(usize, LogKey)> = None;
        for &start in &starts {
            for &end in ends.iter().filter(|end| **end > start) {
                let Some(name) = stem.get(start..end).filter(|name| self.0.contains_key(*name)) else { continue };
                let before = stem.get(..start).unwrap_or_default().trim_end_matches(separators);
                let after = stem.get(end..).unwrap_or_default().trim_start_matches(separators);
                let found = self.named(folders, name, before, after).map(|(pod, container)| key(pod, container, previous));
                if let Some(found) = found.filter(|_| best.as_ref().is_none_or(|(length, _)| *length < name.len())) {
                    best = Some((name.len(), found));
                }
            }
        }
        best.map(|(_, key)| key)
    }

    fn named(&self, folders: &[&str], name: &str, before: &str, after: &str) -> Option<(&Arc<Pod>, Text)> {
        let after = after.strip_suffix(container_id(after)).unwrap_or(after).trim_end_matches('-');
        // `NAMESPACE_POD_CONTAINER`, or `POD_NAMESPACE_CONTAINER` as the kubelet links them.
        let words: Vec<&str> = folders.iter().copied().chain([before]).chain(after.split(['_', '.'])).collect();
        let pod = self.find(name, &words)?;
        let namespace = &*pod.meta.namespace;
        let rest = match after.strip_prefix(namespace) {
            Some(rest) if rest.is_empty() || rest.starts_with(['-', '_', '.']) => rest.trim_start_matches(['-', '_', '.']),
            _ => after,
        };
        if !(before.is_empty() || before == namespace || before == "logs" || before == "pod") {
            return None;
        }
        let found = if rest.is_empty() || PLAIN.contains(&rest) { only_container(pod)? } else { container(pod, rest)? };
        Some((pod, found))
    }
}

/// The 64 hexadecimal digits at the end of a name under `/var/log/containers`; empty when there are none.
fn container_id(text: &str) -> &str {
    let start = text.len().saturating_sub(64);
    let id = text.get(start..).unwrap_or_default();
    if id.len() == 64 && id.chars().all(|c| c.is_ascii_hexdigit()) { id } else { "" }
}

/// The name without its extension, and whether it is the log of the run before.
fn stem_of(file: &str) -> (&str, bool) {
    let stem = [".log", ".txt", ".logs", ".json"].iter().find_map(|end| file.strip_suffix(end)).unwrap_or(file);
    // `previous.insecure.log`, `current.insecure.log` of a must-gather: fetched without checking the kubelet's certificate.
    let stem = stem.strip_suffix(".insecure").unwrap_or(stem);
    for word in PREVIOUS {
        if stem == *word {
            return ("", true);
        }
        let ends = stem.strip_suffix(word).and_then(|rest| rest.strip_suffix(['.', '-', '_']));
        let starts = stem.strip_prefix(word).and_then(|rest| rest.strip_prefix(['.', '-', '_']));
        if let Some(rest) = ends.or(starts) {
            return (rest.strip_suffix(".log").unwrap_or(rest), true);
        }
    }
    (
        ["-current", ".current", "_current", "-logs", ".logs", "_logs"]
            .iter()
            .find_map(|end| stem.strip_suffix(end))
            .unwrap_or(stem),
        false,
    )
}

/// The pod's container of that name.
fn container(pod: &Pod, name: &str) -> Option<Text> {
    pod.spec.all_containers().find(|c| &*c.name == name).map(|c| c.name.clone())
}

/// The first container: kubectl's own default.
fn only_container(pod: &Pod) -> Option<Text> {
    pod.spec.containers.first().map(|c| c.name.clone())
}

/// `logs/NS/POD/CONTAINER.log` of a pod the bundle has no object of.
fn unknown_pod(folders: &[&str], stem: &str, previous: bool) -> Option<LogKey> {
    let [.., logs, namespace, pod] = folders else { return None };
    let fits = *logs == "logs" && !stem.is_empty();
    fits.then(|| LogKey { namespace: (*namespace).into(), pod: (*pod).into(), container: stem.into(), previous })
}

fn key(pod: &Pod, container: Text, previous: bool) -> LogKey {
    LogKey { namespace: pod.meta.namespace.clone(), pod: pod.meta.name.clone(), container, previous }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(namespace: &str, name: &str, containers: &[&str]) -> Arc<Pod> {
        let containers: Vec<_> = containers.iter().map(|name| serde_json::json!({"name": name, "image": "i"})).collect();
        let pod = serde_json::json!({"metadata": {"name": name, "namespace": namespace}, "spec": {"containers": containers}});
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn files_find_their_container_in_every_layout() {
        let pods = [
            pod("shop", "web-7d9f-x2k", &["app", "sidecar"]),
            pod("shop", "web", &["app"]),
            pod("a", "db-0", &["postgres"]),
            pod("b", "db-0", &["postgres"]),
        ];
        let pods = Pods::new(pods.iter());
        let told = |path: &str| {
            let key = pods.log_of(path)?;
            let run = if key.previous { " previous" } else { "" };
            Some(format!("{}/{}/{}{run}", key.namespace, key.pod, key.container))
        };
        let app = Some("shop/web-7d9f-x2k/app".to_owned());
        let before = Some("shop/web-7d9f-x2k/app previous".to_owned());
        let id = "0123456789abcdef".repeat(4);
        for path in [
            "logs/shop/web-7d9f-x2k/app.log",
            "x/namespaces/shop/pods/web-7d9f-x2k/app/app/logs/current.log",
            "cluster-resources/pods/logs/shop/web-7d9f-x2k/app.log",
            "my-logs/web-7d9f-x2k/app.log",
            "shop/web-7d9f-x2k/logs.txt",
            "web-7d9f-x2k.log",
            "web-7d9f-x2k-app.log",
            "shop_web-7d9f-x2k_app.log",
            "shop-web-7d9f-x2k-app.txt",
            "web-7d9f-x2k.app.log",
            "pods/shop_web-7d9f-x2k_5cbd0eb1-uid/app/0.log",
            &format!("containers/web-7d9f-x2k_shop_app-{id}.log"),
        ] {
            assert_eq!(told(path), app, "{path}");
        }
        for path in [
            "logs/shop/web-7d9f-x2k/app.previous.log",
            "cluster-resources/pods/logs/shop/web-7d9f-x2k/app-previous.log",
            "x/namespaces/shop/pods/web-7d9f-x2k/app/app/logs/previous.log",
            "x/namespaces/shop/pods/web-7d9f-x2k/app/app/logs/previous.insecure.log",
            "web-7d9f-x2k-app-previous.log",
            "previous/web-7d9f-x2k.log",
        ] {
            assert_eq!(told(path), before, "{path}");
        }
        assert_eq!(told("web-7d9f-x2k-sidecar.log").as_deref(), Some("shop/web-7d9f-x2k/sidecar"), "not the pod `web`");
        assert_eq!(told("b/db-0.log").as_deref(), Some("b/db-0/postgres"));
        assert_eq!(told("db-0.log"), None, "two pods of that name");
        assert_eq!(told("kubelet.log"), None);
        assert_eq!(told("logs/gone/job-1/main.log").as_deref(), Some("gone/job-1/main"));
    }
}
