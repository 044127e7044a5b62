//! Rows of custom resources: the name, and the extra columns their definition asks for (an age, when it asks for none).

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{age, assemble, definition, name, row, since};
use crate::practice::jsonpath;
use crate::practice::reply::Shape;
use crate::practice::resources::CustomType;

/// The table of objects of a custom type.
pub fn of_objects(custom: &CustomType, objects: &[&Value], shape: Shape, header: bool) -> Value {
    let mut definitions = Vec::new();
    if header {
        definitions.push(definition(&("Name", "string", 0)));
        if custom.columns.is_empty() {
            definitions.push(definition(&("Age", "date", 0)));
        }
        for (name, kind, _, priority) in &custom.columns {
            definitions.push(json!({"name": name, "type": kind, "format": "", "description": "", "priority": priority}));
        }
    }
    let rows: Vec<Value> = objects.iter().map(|object| row(&cells(custom, object, shape.now), object, shape)).collect();
    assemble(&definitions, &rows, objects)
}

fn cells(custom: &CustomType, object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let mut cells = vec![name(object)];
    if custom.columns.is_empty() {
        cells.push(age(object, now));
    }
    for (_, kind, path, _) in &custom.columns {
        let found = jsonpath::find(object, path);
        cells.push(match (kind.as_str(), found.first()) {
            (_, None) => Value::Null,
            ("date", Some(time)) => json!(since(time.as_str().unwrap_or_default(), now)),
            ("string", Some(first)) if found.len() == 1 => json!(plain(first)),
            ("string", _) => json!(found.iter().map(|value| plain(value)).collect::<Vec<_>>().join(",")),
            (_, Some(first)) => (*first).clone(),
        });
    }
    cells
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
