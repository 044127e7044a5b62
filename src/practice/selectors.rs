//! Label and field selectors.
//!
//! To support another field: a line in [`field_value`].

use serde_json::Value;

use super::json::{at, items, text};
use super::query::Query;
use super::resources::ResourceType;
use super::status::Status;

/// Both selectors of a request.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

/// One requirement of a label selector.
#[derive(Clone, Debug, PartialEq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

impl Selector {
    /// The selectors of a query; 400 in the server's words when one cannot be parsed or names an unknown field.
    pub fn parse(served: &'static ResourceType, query: &Query) -> Result<Self, Status> {
        let resource = served.storage();
        let mut selector = Self { labels: labels(query.get("labelSelector").unwrap_or_default())?, fields: Vec::new() };
        for term in query.get("fieldSelector").unwrap_or_default().split(',').filter(|term| !term.is_empty()) {
            let (path, equal, value) = if let Some((path, value)) = term.split_once("!=") {
                (path, false, value)
            } else if let Some((path, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
                (path, true, value)
            } else {
                return Err(Status::bad_request(format!("invalid selector: '{term}'; can't understand '{term}'")));
            };
            let stored = super::views::stored_field(served, path);
            if field_value(resource, &Value::Null, &stored).is_none() {
                return Err(Status::bad_request(format!("field label not supported: {path}")));
            }
            selector.fields.push((stored, equal, value.to_owned()));
        }
        Ok(selector)
    }

    /// A selector of labels alone, as a scale carries it.
    pub fn of_labels(text: &str) -> Result<Self, Status> {
        Ok(Self { labels: labels(text)?, fields: Vec::new() })
    }

    /// A selector for the one object of that name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        if !name.is_empty() {
            self.fields.push(("metadata.name".to_owned(), true, name.to_owned()));
        }
        self
    }

    /// Whether everything matches, so that objects need not be looked at.
    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object matches.
    pub fn matches(&self, resource: &ResourceType, object: &Value) -> bool {
        let field = |(path, equal, wanted): &(String, bool, String)| {
            field_value(resource, object, path).is_some_and(|value| (value == *wanted) == *equal)
        };
        self.labels.iter().all(|requirement| requirement.matches(object)) && self.fields.iter().all(field)
    }
}

impl Requirement {
    fn matches(&self, object: &Value) -> bool {
        let value = |key: &str| object.get("metadata")?.get("labels")?.get(key)?.as_str();
        match self {
            Self::In(key, values) => value(key).is_some_and(|value| values.iter().any(|wanted| wanted == value)),
            Self::NotIn(key, values) => value(key).is_none_or(|value| values.iter().all(|wanted| wanted != value)),
            Self::Exists(key) => value(key).is_some(),
            Self::Missing(key) => value(key).is_none(),
        }
    }
}

/// Whether a `matchLabels` map (a Service's or a workload's selector) selects an object; an empty one selects nothing.
pub fn match_labels(wanted: Option<&Value>, object: &Value) -> bool {
    let Some(wanted) = wanted.and_then(Value::as_object).filter(|map| !map.is_empty()) else { return false };
    wanted.iter().all(|(key, value)| object.pointer("/metadata/labels").and_then(|labels| labels.get(key)) == Some(value))
}

/// A label selector as Go prints it, which is how it stands in errors.
pub fn in_go(selector: &Value) -> String {
    if selector.is_null() {
        return "nil".to_owned();
    }
    let labels: String = at(selector, "matchLabels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}: {},", value.as_str().unwrap_or_default()))
        .collect();
    let expressions: String = items(selector, "matchExpressions")
        .iter()
        .map(|of| {
            let values: Vec<_> = items(of, "values").iter().filter_map(Value::as_str).collect();
            let (key, operator) = (text(of, "key"), text(of, "operator"));
            format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{}],}},", values.join(" "))
        })
        .collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}

fn labels(text: &str) -> Result<Vec<Requirement>, Status> {
    let mut terms = Vec::new();
    let (mut depth, mut start) = (0_usize, 0_usize);
    for (index, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                terms.push(text.get(start..index).unwrap_or_default());
                start = index + 1;
            }
            _ => {}
        }
    }
    terms.push(text.get(start..).unwrap_or_default());
    terms.iter().map(|term| term.trim()).filter(|term| !term.is_empty()).map(requirement).collect()
}

fn requirement(term: &str) -> Result<Requirement, Status> {
    let set = |list: &str| -> Vec<String> {
        list.trim().trim_start_matches('(').trim_end_matches(')').split(',').map(|value| value.trim().to_owned()).collect()
    };
    let list_of = [" notin ", " in "].into_iter().find_map(|word| term.split_once(word));
    if let Some((_, list)) = list_of.filter(|(_, list)| !list.trim_start().starts_with('(')) {
        let message = format!("unable to parse requirement: found '{}', expected: '('", list.trim());
        return Err(Status::bad_request(message));
    }
    if list_of.is_some_and(|(_, list)| !list.trim_end().ends_with(')')) {
        return Err(Status::bad_request("unable to parse requirement: found '', expected: ',' or ')'"));
    }
    let parsed = if let Some((key, list)) = term.split_once(" notin ") {
        Requirement::NotIn(key.trim().to_owned(), set(list))
    } else if let Some((key, list)) = term.split_once(" in ") {
        Requirement::In(key.trim().to_owned(), set(list))
    } else if let Some((key, value)) = term.split_once("!=") {
        Requirement::NotIn(key.trim().to_owned(), vec![value.trim().to_owned()])
    } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        Requirement::In(key.trim().to_owned(), vec![value.trim().to_owned()])
    } else if let Some(key) = term.strip_prefix('!') {
        Requirement::Missing(key.trim().to_owned())
    } else {
        Requirement::Exists(term.to_owned())
    };
    let key = match &parsed {
        Requirement::In(key, _) | Requirement::NotIn(key, _) | Requirement::Exists(key) | Requirement::Missing(key) => key,
    };
    let legal = |character: char| character.is_ascii_alphanumeric() || "-_./".contains(character);
    if key.is_empty() || !key.chars().all(legal) {
        let message = format!("unable to parse requirement: found '{term}', expected: identifier");
        return Err(Status::bad_request(message));
    }
    Ok(parsed)
}

/// The value of a selectable field; none when the type cannot be selected by it.
fn field_value(resource: &ResourceType, object: &Value, path: &str) -> Option<String> {
    let custom = resource.custom.is_some_and(|custom| custom.selectable.iter().any(|field| field == path));
    let supported = match path {
        _ if custom => true,
        "metadata.name" => true,
        "metadata.namespace" => resource.namespaced,
        "spec.nodeName"
        | "spec.restartPolicy"
        | "spec.schedulerName"
        | "spec.serviceAccountName"
        | "status.podIP"
        | "status.nominatedNodeName" => resource.plural == "pods",
        "status.phase" => matches!(resource.plural, "pods" | "namespaces"),
        "status.replicas" => resource.plural == "replicasets",
        "status.successful" => resource.plural == "jobs",
        "spec.signerName" => resource.plural == "certificatesigningrequests",
        "spec.unschedulable" => resource.plural == "nodes",
        "spec.clusterIP" | "spec.type" => resource.plural == "services",
        "type" => matches!(resource.plural, "events" | "secrets"),
        "reason" | "reportingComponent" | "source" => resource.plural == "events",
        other => resource.plural == "events" && other.starts_with("involvedObject."),
    };
    if !supported {
        return None;
    }
    Some(match (path, at(object, path)) {
        ("source", _) => text(object, "source.component").to_owned(),
        ("spec.unschedulable", None) => "false".to_owned(),
        (_, Some(Value::String(value))) => value.clone(),
        (_, Some(other)) => other.to_string(),
        (_, None) => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_selector_is_written_as_go_prints_it() {
        let selector =
            json!({"matchLabels": {"queue": "mail"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["x", "y"]}]});
        let expected = "&LabelSelector{MatchLabels:map[string]string{queue: mail,},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:a,Operator:In,Values:[x y],},},}";
        assert_eq!(in_go(&selector), expected);
        assert_eq!(in_go(&Value::Null), "nil");
    }
}
