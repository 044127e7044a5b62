//! Operators and functions of the expression language.

use std::borrow::Cow;
use std::cmp::Ordering;

use regex::Regex;
use serde_json::{Value, json};

use super::syntax::Operator;

/// Every function, for the check that an expression uses no other.
pub const NAMES: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "lowerAscii",
    "upperAscii",
    "trim",
    "replace",
    "split",
    "join",
    "substring",
    "indexOf",
    "string",
    "int",
    "double",
    "bool",
    "dyn",
    "orValue",
    "hasValue",
];

fn no_overload<T>() -> Result<T, String> {
    Err("no such overload".to_owned())
}

/// A value as `string()` and the keys of a map write it.
pub fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => no_overload(),
    }
}

/// An operator between two values, all but `&&` and `||`.
pub fn binary(operator: Operator, left: &Value, right: &Value) -> Result<Value, String> {
    match operator {
        Operator::Equal => Ok(json!(equal(left, right))),
        Operator::Unequal => Ok(json!(!equal(left, right))),
        Operator::In => match right {
            Value::Array(items) => Ok(json!(items.iter().any(|item| equal(item, left)))),
            Value::Object(map) => Ok(json!(left.as_str().is_some_and(|key| map.contains_key(key)))),
            _ => no_overload(),
        },
        Operator::Less => order(left, right).map(|order| json!(order == Ordering::Less)),
        Operator::AtMost => order(left, right).map(|order| json!(order != Ordering::Greater)),
        Operator::Greater => order(left, right).map(|order| json!(order == Ordering::Greater)),
        Operator::AtLeast => order(left, right).map(|order| json!(order != Ordering::Less)),
        Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Rest => {
            arithmetic(operator, left, right)
        }
        Operator::And | Operator::Or => no_overload(),
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => order(left, right) == Ok(Ordering::Equal),
        (Value::Array(some), Value::Array(others)) => {
            some.len() == others.len() && some.iter().zip(others).all(|(one, other)| equal(one, other))
        }
        _ => left == right,
    }
}

fn order(left: &Value, right: &Value) -> Result<Ordering, String> {
    match (left, right) {
        (Value::String(one), Value::String(other)) => Ok(one.cmp(other)),
        (Value::Bool(one), Value::Bool(other)) => Ok(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) => {
            let whole = one.as_i64().zip(other.as_i64()).map(|(one, other)| one.cmp(&other));
            let fraction = || one.as_f64().zip(other.as_f64()).and_then(|(one, other)| one.partial_cmp(&other));
            whole.or_else(fraction).map_or_else(no_overload, Ok)
        }
        _ => no_overload(),
    }
}

fn arithmetic(operator: Operator, left: &Value, right: &Value) -> Result<Value, String> {
    match (left, right) {
        (Value::String(one), Value::String(other)) if operator == Operator::Add => Ok(json!(format!("{one}{other}"))),
        (Value::Array(some), Value::Array(others)) if operator == Operator::Add => {
            Ok(Value::Array(some.iter().chain(others).cloned().collect()))
        }
        (Value::Number(one), Value::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => whole(operator, one, other),
            // `-x` of a fraction is zero less it.
            _ if one.is_f64() || one.as_i64() == Some(0) => fraction(operator, left, right),
            _ => no_overload(),
        },
        _ => no_overload(),
    }
}

fn whole(operator: Operator, left: i64, right: i64) -> Result<Value, String> {
    let result = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide if right == 0 => return Err("division by zero".to_owned()),
        Operator::Divide => left.checked_div(right),
        _ if right == 0 => return Err("modulus by zero".to_owned()),
        _ => left.checked_rem(right),
    };
    result.map(|result| json!(result)).ok_or_else(|| "integer overflow".to_owned())
}

fn fraction(operator: Operator, left: &Value, right: &Value) -> Result<Value, String> {
    let (Some(left), Some(right)) = (left.as_f64(), right.as_f64()) else { return no_overload() };
    match operator {
        Operator::Add => Ok(json!(left + right)),
        Operator::Subtract => Ok(json!(left - right)),
        Operator::Multiply => Ok(json!(left * right)),
        Operator::Divide => Ok(json!(left / right)),
        _ => no_overload(),
    }
}

/// A function; of a method the first argument is what it is called on.
pub fn call(name: &str, arguments: &[Cow<'_, Value>]) -> Result<Value, String> {
    let values: Vec<&Value> = arguments.iter().map(AsRef::as_ref).collect();
    match (name, values.as_slice()) {
        ("size", [Value::String(text)]) => Ok(json!(text.chars().count())),
        ("size", [Value::Array(items)]) => Ok(json!(items.len())),
        ("size", [Value::Object(map)]) => Ok(json!(map.len())),
        ("orValue", [Value::Null, other]) => Ok((*other).clone()),
        ("orValue", [value, _]) | ("dyn", [value]) | ("bool", [value @ Value::Bool(_)]) => Ok((*value).clone()),
        ("hasValue", [value]) => Ok(json!(!value.is_null())),
        ("string", [value]) => text(value).map(Value::String),
        ("int", [Value::Number(number)]) => Ok(json!(number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)))),
        ("int", [Value::String(text)]) => text.parse::<i64>().map(|number| json!(number)).map_err(|_| conversion(text)),
        ("double", [Value::Number(number)]) => Ok(json!(number.as_f64())),
        ("double", [Value::String(text)]) => text.parse::<f64>().map(|number| json!(number)).map_err(|_| conversion(text)),
        ("bool", [Value::String(text)]) => text.parse::<bool>().map(|held| json!(held)).map_err(|_| conversion(text)),
        ("join", [Value::Array(items), rest @ ..]) => {
            let parts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            let between = rest.first().and_then(|between| between.as_str()).unwrap_or_default();
            parts.map_or_else(no_overload, |parts| Ok(json!(parts.join(between))))
        }
        (_, [Value::String(text), rest @ ..]) => of_text(name, text, rest),
        _ => no_overload(),
    }
}

fn conversion(text: &str) -> String {
    format!("type conversion error from {text:?}")
}

fn of_text(name: &str, text: &str, arguments: &[&Value]) -> Result<Value, String> {
    match (name, arguments) {
        ("contains", [Value::String(part)]) => Ok(json!(text.contains(part.as_str()))),
        ("startsWith", [Value::String(part)]) => Ok(json!(text.starts_with(part.as_str()))),
        ("endsWith", [Value::String(part)]) => Ok(json!(text.ends_with(part.as_str()))),
        ("matches", [Value::String(pattern)]) => {
            Regex::new(pattern).map(|pattern| json!(pattern.is_match(text))).map_err(|error| error.to_string())
        }
        ("lowerAscii", []) => Ok(json!(text.to_ascii_lowercase())),
        ("upperAscii", []) => Ok(json!(text.to_ascii_uppercase())),
        ("trim", []) => Ok(json!(text.trim())),
        ("replace", [Value::String(from), Value::String(to)]) => Ok(json!(text.replace(from.as_str(), to))),
        ("split", [Value::String(at)]) => Ok(json!(text.split(at.as_str()).collect::<Vec<_>>())),
        ("indexOf", [Value::String(part)]) => {
            let found = text.find(part.as_str()).and_then(|at| text.get(..at)).map(|before| before.chars().count() as i64);
            Ok(json!(found.unwrap_or(-1)))
        }
        ("substring", [Value::Number(from), rest @ ..]) => {
            let length = text.chars().count() as u64;
            let to = rest.first().map_or(Some(length), |to| to.as_u64());
            let (Some(from), Some(to)) = (from.as_u64(), to) else { return no_overload() };
            if to > length || from > to {
                return Err(format!("index out of range: {}", if to > length { to } else { from }));
            }
            Ok(json!(text.chars().skip(from as usize).take((to - from) as usize).collect::<String>()))
        }
        _ => no_overload(),
    }
}
