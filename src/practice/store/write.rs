//! Writing to the store: create, modify, delete, and the metadata the server owns.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Change, ChangeKind, HISTORY, Inner, Operation, Past, Store, Stored, Writer, key_of};
use crate::practice::clock::timestamp;
use crate::practice::json::{at, integer, items, object_mut, remove, set, text};
use crate::practice::resources::ResourceType;
use crate::practice::status::Status;
use crate::practice::{admission, defaults, managed};

/// Whether a write is kept or only tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Kept.
    Real,
    /// Everything but the storing (`dryRun=All`).
    DryRun,
}

/// What a delete insists on.
#[derive(Clone, Debug, Default)]
pub struct Preconditions {
    /// Only the object of this uid.
    pub uid: Option<String>,
    /// Only at this resourceVersion.
    pub resource_version: Option<String>,
}

/// How to delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Seconds until the object goes; none for the type's own default.
    pub grace_seconds: Option<i64>,
    /// `Foreground`, `Background` or `Orphan`; none for background.
    pub propagation: Option<String>,
    /// What must hold.
    pub preconditions: Preconditions,
    /// Only try.
    pub dry_run: bool,
}

impl Store {
    /// Creates an object: sets uid, resourceVersion, generation, creationTimestamp, a name from `generateName`, managedFields
    /// and the server's defaults. 409 when the name is taken.
    pub fn create(&self, resource: &'static ResourceType, object: Value, writer: Writer<'_>) -> Result<Arc<Value>, Status> {
        admission::ask(self, resource, &object)?;
        self.create_with(resource, object, writer, Write::Real)
    }

    /// [`Self::create`], kept or only tried, of an object that webhooks and policies have agreed to.
    pub fn create_with(
        &self,
        resource: &'static ResourceType,
        mut object: Value,
        writer: Writer<'_>,
        write: Write,
    ) -> Result<Arc<Value>, Status> {
        let now = self.clock.now();
        set(&mut object, "apiVersion", resource.api_version());
        set(&mut object, "kind", resource.kind);
        if text(&object, "metadata.name").is_empty() {
            let name = format!("{}{}", text(&object, "metadata.generateName"), self.lock().suffix());
            set(&mut object, "metadata.name", name);
        }
        admission::admit(self, resource, &mut object)?;
        let mut inner = self.lock();
        let key = key_in(&object);
        if inner.tables.get(&key_of(resource)).is_some_and(|table| table.objects.contains_key(&key)) {
            return Err(Status::already_exists(resource, &key.1));
        }
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
            object_mut(&mut object, "metadata").remove(field);
        }
        set(&mut object, "metadata.uid", inner.uid());
        set(&mut object, "metadata.creationTimestamp", timestamp(now));
        if resource.has_generation() {
            set(&mut object, "metadata.generation", 1);
        }
        let addresses = inner.service_addresses(resource);
        defaults::apply(resource, &mut object, &addresses);
        if writer.operation == Operation::Update {
            managed::record_update(None, &mut object, &writer, now);
        }
        if write == Write::DryRun {
            return Ok(Arc::new(object));
        }
        Ok(inner.commit(resource, ChangeKind::Added, object, None))
    }

    /// Edits an object atomically. Nothing changes, not even the version, when the edit changes nothing. An object whose
    /// `deletionTimestamp` is set and that waits for neither grace nor finalizers is removed.
    #[allow(clippy::too_many_arguments, reason = "one flat call for its many callers in the simulation")]
    pub fn modify(
        &self,
        resource: &'static ResourceType,
        namespace: &str,
        name: &str,
        writer: Writer<'_>,
        edit: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, Status> {
        let edit = |object: &mut Value| {
            edit(object);
            Ok(())
        };
        self.try_modify(resource, (namespace, name), writer, Write::Real, edit)
    }

    /// [`Self::modify`] with an edit that may refuse, kept or only tried.
    #[allow(clippy::too_many_arguments, reason = "one flat call for its many callers in the simulation")]
    pub fn try_modify(
        &self,
        resource: &'static ResourceType,
        (namespace, name): (&str, &str),
        writer: Writer<'_>,
        write: Write,
        edit: impl FnOnce(&mut Value) -> Result<(), Status>,
    ) -> Result<Arc<Value>, Status> {
        let now = self.clock.now();
        let mut inner = self.lock();
        let stored = inner.find(resource, namespace, name)?;
        let old = stored.object();
        let mut new = (*old).clone();
        edit(&mut new)?;
        if writer.subresource.is_none() {
            let addresses = inner.service_addresses(resource);
            defaults::apply(resource, &mut new, &addresses);
        }
        keep_server_fields(&old, &mut new);
        if resource.has_generation() && desired_changed(resource, &old, &new) {
            let generation = integer(&old, "metadata.generation").unwrap_or(0) + 1;
            set(&mut new, "metadata.generation", generation);
        }
        if writer.operation == Operation::Update {
            managed::record_update(Some(&old), &mut new, &writer, now);
        }
        if same(&old, &new) {
            return Ok(old);
        }
        if write == Write::DryRun {
            return Ok(Arc::new(new));
        }
        let kind = if may_go(&new) { ChangeKind::Deleted } else { ChangeKind::Modified };
        Ok(inner.commit(resource, kind, new, Some(old)))
    }

    /// Deletes an object with that grace (none for the type's default). See [`Self::delete_with`].
    pub fn delete(
        &self,
        resource: &'static ResourceType,
        namespace: &str,
        name: &str,
        grace_seconds: Option<i64>,
    ) -> Result<Arc<Value>, Status> {
        self.delete_with(resource, namespace, name, &DeleteOptions { grace_seconds, ..DeleteOptions::default() })
    }

    /// Deletes an object: pods that were scheduled get `deletionTimestamp = now + grace` and wait for their kubelet; objects
    /// with finalizers wait for those; everything else goes at once. Returns the last state of the object.
    pub fn delete_with(
        &self,
        resource: &'static ResourceType,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Arc<Value>, Status> {
        let now = self.clock.now();
        let mut inner = self.lock();
        let stored = inner.find(resource, namespace, name)?;
        let inert = stored.live.is_none();
        let old = stored.object();
        check_preconditions(resource, &old, &options.preconditions)?;
        let mut new = (*old).clone();
        let grace = if inert { 0 } else { grace_of(resource, &old, options.grace_seconds) };
        let pending = integer(&old, "metadata.deletionGracePeriodSeconds");
        if at(&old, "metadata.deletionTimestamp").is_none() || pending.is_some_and(|pending| grace < pending) {
            set(&mut new, "metadata.deletionTimestamp", timestamp(now + chrono::Duration::seconds(grace)));
            set(&mut new, "metadata.deletionGracePeriodSeconds", grace);
            if at(&old, "metadata.deletionTimestamp").is_none() && resource.has_generation() {
                let generation = integer(&old, "metadata.generation").unwrap_or(0) + 1;
                set(&mut new, "metadata.generation", generation);
            }
        }
        add_propagation_finalizer(&mut new, options.propagation.as_deref());
        if resource.plural == "namespaces" && !items(&new, "spec.finalizers").is_empty() {
            set(&mut new, "status.phase", "Terminating");
        }
        if options.dry_run {
            return Ok(Arc::new(new));
        }
        if may_go(&new) {
            return Ok(inner.commit(resource, ChangeKind::Deleted, new, Some(old)));
        }
        if same(&old, &new) {
            return Ok(old);
        }
        Ok(inner.commit(resource, ChangeKind::Modified, new, Some(old)))
    }
}

impl Inner {
    fn find(&self, resource: &'static ResourceType, namespace: &str, name: &str) -> Result<Arc<Stored>, Status> {
        let found = self
            .tables
            .get(&key_of(resource))
            .and_then(|table| table.objects.get(&(namespace.to_owned(), name.to_owned())).cloned());
        found.ok_or_else(|| Status::not_found(resource, name))
    }

    /// Gives the object its version, stores or removes it, remembers the change and tells the subscribers.
    fn commit(
        &mut self,
        resource: &'static ResourceType,
        kind: ChangeKind,
        mut object: Value,
        previous: Option<Arc<Value>>,
    ) -> Arc<Value> {
        self.version += 1;
        let version = self.version;
        set(&mut object, "metadata.resourceVersion", version.to_string());
        let key = key_in(&object);
        let object = Arc::new(object);
        let stored = Arc::new(Stored::live(version, key.clone(), object.clone()));
        let table = self.tables.entry(key_of(resource)).or_default();
        let bytes = stored.bytes();
        let before = if kind == ChangeKind::Deleted {
            table.objects.remove(&key)
        } else {
            table.objects.insert(key.clone(), stored.clone())
        };
        table.history.push_back(Past { kind, version, key, bytes, previous: before.map(|before| before.bytes()) });
        let change = Arc::new(Change { kind, resource, object: object.clone(), previous, version, stored });
        if table.history.len() > HISTORY
            && let Some(dropped) = table.history.pop_front()
        {
            table.forgotten = dropped.version;
        }
        table.subscribers.retain(|subscriber| subscriber.send(change.clone()).is_ok());
        table.watchers.retain(|watcher| watcher.send(change.clone()).is_ok());
        object
    }

    /// Splitmix64: enough for names that must only differ.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn uid(&mut self) -> String {
        let (high, low) = (self.next_random(), self.next_random());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }

    /// Five characters of the alphabet the server uses: no vowels, nothing that looks like another.
    fn suffix(&mut self) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let pick = |random: u64| ALPHABET.get((random % ALPHABET.len() as u64) as usize).map_or('x', |byte| char::from(*byte));
        (0..5).map(|_| pick(self.next_random())).collect()
    }

    /// The cluster IPs that are taken, and a random number to pick a free one; empty for anything but services.
    fn service_addresses(&mut self, resource: &'static ResourceType) -> defaults::Addresses {
        if resource.plural != "services" {
            return defaults::Addresses::default();
        }
        let taken = self
            .tables
            .get(&key_of(resource))
            .map(|table| table.objects.values().map(|stored| text(&stored.object(), "spec.clusterIP").to_owned()).collect());
        defaults::Addresses { taken: taken.unwrap_or_default(), random: self.next_random() }
    }
}

fn key_in(object: &Value) -> (String, String) {
    (text(object, "metadata.namespace").to_owned(), text(object, "metadata.name").to_owned())
}

/// Writers cannot change what the server owns.
fn keep_server_fields(old: &Value, new: &mut Value) {
    let keep = [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ];
    for field in keep {
        let path = format!("metadata.{field}");
        match at(old, &path) {
            Some(value) => set(new, &path, value.clone()),
            None => drop(remove(new, &path)),
        }
    }
}

/// Equal but for managedFields: a write that changes nothing but the time of an entry is no write.
fn same(old: &Value, new: &Value) -> bool {
    if old == new {
        return true;
    }
    let without = |value: &Value| {
        let mut value = value.clone();
        remove(&mut value, "metadata.managedFields");
        value
    };
    let owners = |value: &Value| -> Vec<Value> {
        let strip = |entry: &Value| {
            let mut entry = entry.clone();
            remove(&mut entry, "time");
            entry
        };
        items(value, "metadata.managedFields").iter().map(strip).collect()
    };
    without(old) == without(new) && owners(old) == owners(new)
}

fn desired_changed(resource: &ResourceType, old: &Value, new: &Value) -> bool {
    match resource.plural {
        "endpointslices" => old.get("endpoints") != new.get("endpoints") || old.get("ports") != new.get("ports"),
        // A binding is no change of what was asked for.
        "pods" => without_node(old) != without_node(new),
        _ => old.get("spec") != new.get("spec"),
    }
}

fn without_node(pod: &Value) -> Option<Value> {
    let mut spec = pod.get("spec").cloned();
    spec.as_mut().and_then(Value::as_object_mut).map(|spec| spec.remove("nodeName"));
    spec
}

fn may_go(object: &Value) -> bool {
    at(object, "metadata.deletionTimestamp").is_some()
        && items(object, "metadata.finalizers").is_empty()
        && integer(object, "metadata.deletionGracePeriodSeconds").unwrap_or(0) == 0
        && (text(object, "kind") != "Namespace" || items(object, "spec.finalizers").is_empty())
}

/// Only pods have a grace period; one no kubelet runs (unscheduled, or already over) goes at once.
fn grace_of(resource: &ResourceType, object: &Value, asked: Option<i64>) -> i64 {
    if resource.plural != "pods" || !resource.group.is_empty() {
        return 0;
    }
    let phase = text(object, "status.phase");
    if text(object, "spec.nodeName").is_empty() || phase == "Succeeded" || phase == "Failed" {
        return 0;
    }
    asked.unwrap_or_else(|| integer(object, "spec.terminationGracePeriodSeconds").unwrap_or(30)).max(0)
}

fn check_preconditions(resource: &ResourceType, object: &Value, wanted: &Preconditions) -> Result<(), Status> {
    let name = text(object, "metadata.name");
    let uid = text(object, "metadata.uid");
    if let Some(expected) = wanted.uid.as_deref().filter(|expected| *expected != uid) {
        let why = format!("Precondition failed: UID in precondition: {expected}, UID in object meta: {uid}");
        return Err(Status::conflict(resource, name, &why));
    }
    let version = text(object, "metadata.resourceVersion");
    if let Some(expected) = wanted.resource_version.as_deref().filter(|expected| *expected != version) {
        let why = format!(
            "Precondition failed: ResourceVersion in precondition: {expected}, ResourceVersion in object meta: {version}"
        );
        return Err(Status::conflict(resource, name, &why));
    }
    Ok(())
}

/// Foreground deletion and orphaning are finalizers the garbage collector takes off when it is done.
fn add_propagation_finalizer(object: &mut Value, propagation: Option<&str>) {
    let finalizer = match propagation {
        Some("Foreground") => "foregroundDeletion",
        Some("Orphan") => "orphan",
        _ => return,
    };
    let mut finalizers = items(object, "metadata.finalizers").to_vec();
    if !finalizers.iter().any(|present| present == finalizer) {
        finalizers.push(json!(finalizer));
        set(object, "metadata.finalizers", finalizers);
    }
}
