//! What the messages are made of: `assets/protobuf.txt`, parsed once when it is first asked for.

use std::sync::LazyLock;

use foldhash::HashMap;

static TEXT: &str = include_str!("../../assets/protobuf.txt");
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::parse(TEXT));

const META: &str = "meta.v1.ObjectMeta";
const MANAGED_FIELDS: &str = "managedFields";

/// All messages.
#[derive(Debug)]
pub struct Schema {
    messages: Vec<Message>,
    named: HashMap<&'static str, usize>,
    /// Objects whose metadata has no `managedFields`: they are skipped as if nobody had a name for them.
    lean: HashMap<&'static str, usize>,
}

/// A message.
#[derive(Debug, Clone)]
pub struct Message {
    /// `core.v1.Pod`.
    pub name: &'static str,
    /// In the order of their numbers.
    pub(super) fields: Vec<Field>,
    /// Index of the field plus one, by number.
    by_number: Vec<u8>,
}

/// A field of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) number: u32,
    /// Its name in JSON.
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) kind: FieldKind,
    /// A pointer in Go: zero and empty are values.
    pub(super) keeps_zero: bool,
    /// JSON has its fields in the message around it.
    pub(super) is_inline: bool,
}

/// How many values a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    One,
    List,
    /// By strings: entries of a key (1) and a value (2).
    Map,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldKind {
    Text,
    Bytes,
    Bool,
    Int,
    Time,
    MicroTime,
    Quantity,
    IntOrText,
    Json,
    Texts,
    /// Its place in the schema.
    Message(usize),
}

/// The schema of Kubernetes.
pub fn schema() -> &'static Schema {
    &SCHEMA
}

impl Schema {
    fn parse(text: &'static str) -> Self {
        let lines = || text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let names = lines().filter(|line| !line.starts_with(' '));
        let named: HashMap<&'static str, usize> = names.enumerate().map(|(place, name)| (name, place)).collect();
        let mut messages: Vec<Message> = Vec::with_capacity(named.len());
        for line in lines() {
            match (line.strip_prefix(' '), messages.last_mut()) {
                (Some(field), Some(message)) => message.fields.extend(Field::parse(field, &named)),
                _ => messages.push(Message { name: line, fields: Vec::new(), by_number: Vec::new() }),
            }
        }
        let lean = Self::add_lean(&mut messages, named.get(META).copied());
        messages.iter_mut().for_each(Message::index);
        Self { messages, named, lean }
    }

    /// Appends each message with `metadata` once more, with metadata that lack `managedFields`.
    fn add_lean(messages: &mut Vec<Message>, meta: Option<usize>) -> HashMap<&'static str, usize> {
        let mut lean = HashMap::default();
        let Some((place, message)) = meta.and_then(|place| Some((place, messages.get(place)?.clone()))) else { return lean };
        let kind = FieldKind::Message(messages.len());
        let whole = messages.clone();
        let fields = message.fields.into_iter().filter(|field| field.name != MANAGED_FIELDS).collect();
        messages.push(Message { fields, ..message });
        for mut message in whole {
            let metadata = message.fields.iter_mut().find(|field| field.kind == FieldKind::Message(place));
            let Some(field) = metadata else { continue };
            field.kind = kind;
            lean.insert(message.name, messages.len());
            messages.push(message);
        }
        lean
    }

    /// The message with only the fields of those numbers.
    pub fn only(message: &Message, numbers: &[u32]) -> Message {
        let fields = message.fields.iter().filter(|field| numbers.contains(&field.number)).copied().collect();
        let mut part = Message { name: message.name, fields, by_number: Vec::new() };
        part.index();
        part
    }

    /// The message without the fields of those numbers.
    pub fn without(message: &Message, numbers: &[u32]) -> Message {
        let others: Vec<u32> = message.fields.iter().map(|field| field.number).filter(|of| !numbers.contains(of)).collect();
        Self::only(message, &others)
    }

    /// The message of that name: `core.v1.Pod`.
    pub fn message(&self, name: &str) -> Option<&Message> {
        self.named.get(name).and_then(|place| self.messages.get(*place))
    }

    /// The message of objects of a kind; none where there is no protobuf form.
    pub fn of_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Message> {
        // Kubernetes' own groups are one word, or end like this; all others are custom resources.
        let package = match group.strip_suffix(".k8s.io").unwrap_or(group) {
            "" => "core",
            "rbac.authorization" => "rbac",
            own if own.contains('.') => return None,
            own => own,
        };
        self.message(&format!("{package}.{version}.{kind}"))
    }

    /// As [`Schema::of_kind`], but `managedFields` are skipped.
    pub fn without_writers(&self, message: &Message) -> Option<&Message> {
        self.lean.get(message.name).and_then(|place| self.messages.get(*place))
    }

    pub(super) fn at(&self, place: usize) -> Option<&Message> {
        self.messages.get(place)
    }

    /// Every message with its fields' numbers and names, for a test to compare.
    pub fn describe(&self) -> impl Iterator<Item = (&str, Vec<(u32, &str)>)> {
        self.messages
            .iter()
            .take(self.named.len())
            .map(|message| (message.name, message.fields.iter().map(|field| (field.number, field.name)).collect()))
    }
}

impl Message {
    fn index(&mut self) {
        self.fields.sort_by_key(|field| field.number);
        let most = self.fields.last().map_or(0, |field| field.number as usize);
        self.by_number = vec![0; most + 1];
        for (place, field) in self.fields.iter().enumerate() {
            if let Some(entry) = self.by_number.get_mut(field.number as usize) {
                *entry = u8::try_from(place + 1).unwrap_or_default();
            }
        }
    }

    /// The message that the field of that number holds.
    pub fn within(&self, number: u32) -> Option<&'static Self> {
        match self.field(number)?.kind {
            FieldKind::Message(place) => schema().at(place),
            _ => None,
        }
    }

    /// The field of that number.
    #[inline]
    pub(super) fn field(&self, number: u32) -> Option<&Field> {
        let place = *self.by_number.get(number as usize)?;
        self.fields.get(usize::from(place).checked_sub(1)?)
    }
}

impl Field {
    /// `12 name type`; none for a line that is no such thing (a test reads the whole asset).
    fn parse(line: &'static str, named: &HashMap<&'static str, usize>) -> Option<Self> {
        let mut words = line.split(' ');
        let (number, name, written) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
        let (is_inline, name) = name.strip_prefix('+').map_or((false, name), |name| (true, name));
        let within = |open, close| written.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        let (form, kind) = match (within('[', ']'), within('{', '}')) {
            (Some(inner), _) => (Form::List, inner),
            (_, Some(inner)) => (Form::Map, inner),
            _ => (Form::One, written),
        };
        let (keeps_zero, kind) = kind.strip_suffix('?').map_or((false, kind), |kind| (true, kind));
        let kind = match kind {
            "text" => FieldKind::Text,
            "bytes" => FieldKind::Bytes,
            "bool" => FieldKind::Bool,
            "int" => FieldKind::Int,
            "time" => FieldKind::Time,
            "micro" => FieldKind::MicroTime,
            "quantity" => FieldKind::Quantity,
            "int-or-text" => FieldKind::IntOrText,
            "json" => FieldKind::Json,
            "texts" => FieldKind::Texts,
            message => FieldKind::Message(*named.get(message)?),
        };
        Some(Self { number, name, form, kind, keeps_zero, is_inline })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_asset_is_understood() {
        let written = TEXT.lines().filter(|line| line.starts_with(' ')).count();
        let parsed: usize = schema().messages.iter().take(schema().named.len()).map(|message| message.fields.len()).sum();
        assert_eq!(parsed, written);
        for message in &schema().messages {
            for field in &message.fields {
                assert_eq!(message.field(field.number).map(|found| found.name), Some(field.name), "{}", message.name);
            }
        }
        assert_eq!(schema().of_kind("apps", "v1", "Deployment").map(|found| found.name), Some("apps.v1.Deployment"));
        assert_eq!(
            schema().of_kind("discovery.k8s.io", "v1", "EndpointSlice").map(|m| m.name),
            Some("discovery.v1.EndpointSlice")
        );
        assert!(schema().of_kind("cert-manager.io", "v1", "Certificate").is_none());
    }
}
