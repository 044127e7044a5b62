//! The simple JSON paths of custom resource definitions: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`,
//! `.spec.hosts[*]`, `.items[0]`, `.metadata.annotations.a\.b`.

use serde_json::Value;

/// Every value at a path.
pub fn find<'a>(object: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![object];
    let mut rest = path.trim_matches(['{', '}']).trim_start_matches('$');
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let Some((inside, after)) = after.split_once(']') else { return Vec::new() };
            found = found.into_iter().flat_map(|value| inside_brackets(value, inside)).collect();
            rest = after;
        } else {
            let (key, after) = field(rest.trim_start_matches('.'));
            found = found.into_iter().filter_map(|value| value.get(&key)).collect();
            rest = after;
        }
    }
    found.into_iter().filter(|value| !value.is_null()).collect()
}

/// The next field name, its escaped dots unescaped, and what follows.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (name, text.get(index..).unwrap_or_default()),
            other => name.push(other),
        }
    }
    (name, "")
}

fn inside_brackets<'a>(value: &'a Value, inside: &str) -> Vec<&'a Value> {
    let Some(items) = value.as_array() else {
        return value.get(inside.trim_matches(['\'', '"'])).into_iter().collect();
    };
    if inside == "*" {
        return items.iter().collect();
    }
    if let Some(condition) = inside.strip_prefix("?(@.").and_then(|rest| rest.strip_suffix(')')) {
        let Some((field, wanted)) = condition.split_once("==") else { return Vec::new() };
        let wanted = wanted.trim().trim_matches(['\'', '"']);
        let holds = |item: &&Value| item.get(field.trim()).and_then(Value::as_str) == Some(wanted);
        return items.iter().filter(holds).collect();
    }
    inside.parse::<usize>().ok().and_then(|index| items.get(index)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::find;
    use serde_json::json;

    #[test]
    fn paths_reach_fields_items_and_filtered_items() {
        let object = json!({"status": {"conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}]},
            "metadata": {"annotations": {"a.b/c": "x"}}});
        let first = |path: &str| find(&object, path).first().map(|value| (*value).clone());
        assert_eq!(first(".status.conditions[?(@.type==\"Ready\")].status"), Some(json!("True")));
        assert_eq!(first(".status.conditions[0].type"), Some(json!("Synced")));
        assert_eq!(find(&object, ".status.conditions[*].type").len(), 2);
        assert_eq!(first(".metadata.annotations.a\\.b/c"), Some(json!("x")));
        assert_eq!(first(".spec.nothing"), None);
    }
}
