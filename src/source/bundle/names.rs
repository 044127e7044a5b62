//! What the name of a file tells where its content does not: the kind of an empty list, of a bare array, of items without `kind`.

use crate::kinds::KindId;

/// Names of files and folders besides plurals and kinds: kubectl's short names and those of troubleshoot.sh.
const ALIASES: &[(&str, KindId)] = &[
    ("po", KindId::Pod),
    ("ev", KindId::Event),
    ("no", KindId::Node),
    ("ns", KindId::Namespace),
    ("deploy", KindId::Deployment),
    ("rs", KindId::ReplicaSet),
    ("sts", KindId::StatefulSet),
    ("ds", KindId::DaemonSet),
    ("cj", KindId::CronJob),
    ("svc", KindId::Service),
    ("ing", KindId::Ingress),
    ("cm", KindId::ConfigMap),
    ("hpa", KindId::HorizontalPodAutoscaler),
    ("hpas", KindId::HorizontalPodAutoscaler),
    ("pvc", KindId::PersistentVolumeClaim),
    ("pvcs", KindId::PersistentVolumeClaim),
    ("quota", KindId::ResourceQuota),
    ("quotas", KindId::ResourceQuota),
    ("pdb", KindId::PodDisruptionBudget),
    ("pdbs", KindId::PodDisruptionBudget),
];

/// The watched kind of that name, if its API group fits (a custom `Service` of Knative is not ours).
pub(super) fn kind_of(kind: &str, api_version: &str) -> Option<KindId> {
    let id = KindId::from_name(kind)?;
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let moved = (id == KindId::Event && group == "events.k8s.io") || (id == KindId::Ingress && group == "extensions");
    (group == id.info().group || moved || api_version.is_empty()).then_some(id)
}

/// The kind that a word names: `pods`, `Pod`, `pod-disruption-budgets`, `cronjobs`, `pvc`.
pub(super) fn kind_of_word(word: &str) -> Option<KindId> {
    let word: String = word.chars().filter(|c| !matches!(c, '-' | '_')).collect::<String>().to_lowercase();
    let named = |k: &KindId| k.info().plural == word || k.name().to_lowercase() == word;
    let alias = || ALIASES.iter().find(|(alias, _)| *alias == word).map(|(_, kind)| *kind);
    KindId::ALL.iter().copied().find(named).or_else(alias)
}

/// The kind a path tells of: `cronjobs.batch.json`, `CronJob.yaml`, `pods/NAMESPACE.json`, `all-pods.json`.
pub(super) fn kind_of_path(path: &str) -> Option<KindId> {
    let mut segments = path.rsplit('/');
    let name = segments.next()?;
    let stem = name.split('.').next()?;
    kind_of_word(stem).or_else(|| kind_of_word(segments.next()?.split('.').next()?)).or_else(|| {
        let mut words = stem.split(['-', '_', ' ']).filter(|word| word.len() > 3).filter_map(kind_of_word);
        let found = words.next()?;
        words.next().is_none().then_some(found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_kinds() {
        let told = |path| kind_of_path(path);
        assert_eq!(told("a/cronjobs.batch.json"), Some(KindId::CronJob));
        assert_eq!(told("cluster-resources/pod-disruption-budgets/shop.json"), Some(KindId::PodDisruptionBudget));
        assert_eq!(told("cluster-resources/pvcs/shop.json"), Some(KindId::PersistentVolumeClaim));
        assert_eq!(told("prod-pods.json"), Some(KindId::Pod));
        assert_eq!(told("pods-and-nodes.json"), None, "two kinds are none");
        assert_eq!(told("shop/web.json"), None);
    }
}
