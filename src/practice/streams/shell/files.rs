//! The files of a practice container: what Kubernetes puts there, what was copied there, and the commands that read them.

use serde_json::Value;

use super::super::tar;
use super::{Ended, Shell, Step};
use crate::practice::base64;
use crate::practice::json::{at, items, text};
use crate::practice::resources::{CONFIG_MAPS, SECRETS};
use crate::practice::runtime::Files;
use crate::practice::store::Store;

/// Folders every image has, and the root.
const FOLDERS: &[&str] = &["", "bin", "dev", "lib", "proc", "root", "sys", "tmp", "usr"];

impl Shell {
    /// Whether it waits for all of its input as bytes.
    pub fn takes_bytes(&self) -> bool {
        self.unpacks_to.is_some()
    }

    /// All of its input.
    pub fn bytes(&mut self, archive: &[u8]) -> Step {
        let folder = self.unpacks_to.take().unwrap_or_default();
        let mut step = Step { ended: Some(Ended::Exit(1)), ..Step::default() };
        let Some(files) = tar::unpack(archive) else {
            "tar: short read\n".clone_into(&mut step.error);
            return step;
        };
        let path = |name: &str| format!("{}/{}", folder.trim_end_matches('/'), name.trim_start_matches(['.', '/']));
        let files: Files = files.into_iter().map(|(name, content)| (path(&name), content)).collect();
        self.files.extend(files.clone());
        let disk = self.disk.as_ref();
        if disk.is_some_and(|disk| !disk.runtime.write_files(&disk.uid, &disk.container, disk.restart, files)) {
            "tar: write error: No space left on device\n".clone_into(&mut step.error);
            return step;
        }
        step.ended = Some(Ended::Exit(0));
        step
    }

    /// The commands that write to the step themselves, or nothing.
    pub(super) fn on_files(&mut self, command: &str, words: &[String], step: &mut Step) {
        match command {
            "cat" => self.show(words, step),
            "tar" => self.archive(words, step),
            _ => self.test(words),
        }
    }

    /// `tar cf - PATH...` and `tar xf - [-C FOLDER]`, with what else kubectl says.
    fn archive(&mut self, words: &[String], step: &mut Step) {
        let flags = words.iter().find(|word| !word.starts_with("--")).map_or("", String::as_str);
        let after = |flag: &str| words.iter().skip_while(|word| *word != flag).nth(1);
        if flags.contains('x') {
            self.unpacks_to = Some(after("-C").map_or("/", String::as_str).to_owned());
            return;
        }
        let paths: Vec<&String> =
            words.iter().skip_while(|word| *word != "-").skip(1).filter(|word| !word.starts_with('-')).collect();
        let mut found = Vec::new();
        for path in paths {
            let below = format!("{}/", path.trim_end_matches('/'));
            let before = found.len();
            let chosen = self.files.iter().filter(|(name, _)| *name == path || name.starts_with(&below));
            found.extend(chosen.map(|(name, content)| (name.trim_start_matches('/').to_owned(), content.clone())));
            if found.len() == before {
                self.code = 1;
                step.error.push_str(&format!("tar: {path}: No such file or directory\n"));
            }
        }
        if self.code == 0 {
            step.error.push_str("tar: removing leading '/' from member names\n");
        }
        step.out.extend(tar::pack(&found, self.seconds));
    }

    /// `test -d`, `-e` and `-f`.
    fn test(&mut self, words: &[String]) {
        let [flag, path] = words else {
            self.code = 1;
            return;
        };
        let below = format!("{}/", path.trim_end_matches('/'));
        let folder = FOLDERS.contains(&below.trim_matches('/')) || self.files.keys().any(|name| name.starts_with(&below));
        let holds = match flag.as_str() {
            "-d" => folder,
            "-e" => folder || self.files.contains_key(path),
            "-f" => self.files.contains_key(path),
            _ => false,
        };
        self.code = i32::from(!holds);
    }

    /// `cat PATH...`, byte for byte.
    fn show(&mut self, paths: &[String], step: &mut Step) {
        for path in paths {
            if let Some(content) = self.files.get(path) {
                step.out.extend(content);
            } else {
                self.code = 1;
                step.error.push_str(&format!("cat: can't open '{path}': No such file or directory\n"));
            }
        }
    }

    pub(super) fn list(&mut self, paths: &[String], step: &mut Step) -> String {
        let folder = paths.iter().find(|path| !path.starts_with('-')).map_or("/", String::as_str);
        let prefix = if folder.ends_with('/') { folder.to_owned() } else { format!("{folder}/") };
        let mut entries: Vec<&str> = self.files.keys().filter_map(|path| path.strip_prefix(&prefix)?.split('/').next()).collect();
        if prefix == "/" {
            entries.extend(FOLDERS.iter().filter(|folder| !folder.is_empty()));
        }
        entries.sort_unstable();
        entries.dedup();
        if entries.is_empty() {
            if self.files.contains_key(folder) {
                return format!("{folder}\n");
            }
            self.code = 1;
            step.error.push_str(&format!("ls: {folder}: No such file or directory\n"));
        }
        entries.iter().map(|entry| format!("{entry}\n")).collect()
    }
}

/// What Kubernetes puts into a container's file system.
pub(super) fn files(store: &Store, pod: &Value, container: &Value) -> Files {
    let (name, namespace) = (text(pod, "metadata.name"), text(pod, "metadata.namespace"));
    let mut files: Files = [
        ("/etc/hostname".to_owned(), format!("{name}\n")),
        ("/etc/hosts".to_owned(), format!("127.0.0.1\tlocalhost\n{}\t{name}\n", text(pod, "status.podIP"))),
        (
            "/etc/resolv.conf".to_owned(),
            format!(
                "search {namespace}.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
            ),
        ),
    ]
    .into_iter()
    .map(|(path, text)| (path, text.into_bytes()))
    .collect();
    for mount in items(container, "volumeMounts") {
        let folder = text(mount, "mountPath").trim_end_matches('/');
        let volume = items(pod, "spec.volumes").iter().find(|volume| text(volume, "name") == text(mount, "name"));
        let Some(volume) = volume else { continue };
        let found = if at(volume, "configMap").is_some() {
            store.get(&CONFIG_MAPS, namespace, text(volume, "configMap.name")).map(|map| contents(&map, false))
        } else if at(volume, "secret").is_some() {
            store.get(&SECRETS, namespace, text(volume, "secret.secretName")).map(|secret| contents(&secret, true))
        } else if at(volume, "projected").is_some() {
            Some(vec![("namespace".to_owned(), namespace.as_bytes().to_vec())])
        } else {
            None
        };
        files.extend(found.into_iter().flatten().map(|(key, content)| (format!("{folder}/{key}"), content)));
    }
    files
}

fn contents(object: &Value, encoded: bool) -> Vec<(String, Vec<u8>)> {
    let decoded = |value: &Value| base64::decode(value.as_str().unwrap_or_default()).unwrap_or_default();
    let plain = |value: &Value| value.as_str().unwrap_or_default().as_bytes().to_vec();
    let of = |field: &str| at(object, field).and_then(Value::as_object).into_iter().flatten();
    let data = of("data").map(|(key, value)| (key.clone(), if encoded { decoded(value) } else { plain(value) }));
    data.chain(of("binaryData").map(|(key, value)| (key.clone(), decoded(value)))).collect()
}
