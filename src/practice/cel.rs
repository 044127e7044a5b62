//! The Common Expression Language as admission policies and match conditions use it.
//!
//! Values are JSON; whole numbers and fractions differ as in the language. What is not here (authoriser, quantities, addresses,
//! times) is an undeclared reference when an object that uses it is written, so that no expression is ever half understood.
//! To add a function: a line in `functions`.

mod functions;
mod syntax;

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use syntax::{Expression, Macro, Operator};

/// A parsed expression.
#[derive(Debug)]
pub struct Program(Expression);

/// What names stand for.
pub struct Scope<'a> {
    outer: Option<&'a Self>,
    name: &'a str,
    value: &'a Value,
}

type Outcome<'a> = Result<Cow<'a, Value>, String>;

impl Program {
    /// Parses an expression over these names; the server's words for what is wrong with it.
    pub fn compile(source: &str, names: &[&str]) -> Result<Self, String> {
        syntax::parse(source, names).map(Self)
    }

    /// Evaluates to anything; the error in the language's words.
    pub fn evaluate(&self, names: &[(&str, &Value)]) -> Result<Value, String> {
        within(names, None, &mut |scope| self.0.evaluate(scope).map(Cow::into_owned))
    }
}

/// Calls with a scope of all the names.
fn within<T>(names: &[(&str, &Value)], outer: Option<&Scope<'_>>, then: &mut dyn FnMut(&Scope<'_>) -> T) -> T {
    let nothing = Scope { outer: None, name: "", value: &Value::Null };
    match names {
        [] => then(outer.unwrap_or(&nothing)),
        [(name, value), rest @ ..] => within(rest, Some(&Scope { outer, name, value }), then),
    }
}

impl Scope<'_> {
    fn find(&self, name: &str) -> Option<&Value> {
        if self.name == name { Some(self.value) } else { self.outer.and_then(|outer| outer.find(name)) }
    }
}

impl Expression {
    fn evaluate<'a>(&'a self, scope: &'a Scope<'a>) -> Outcome<'a> {
        match self {
            Self::Literal(value) => Ok(Cow::Borrowed(value)),
            Self::Name(name) => scope.find(name).map(Cow::Borrowed).ok_or_else(|| format!("no such attribute(s): {name}")),
            Self::Select(of, field) => select(of.evaluate(scope)?, field),
            Self::Maybe(of, field) => Ok(select(of.evaluate(scope)?, field).unwrap_or(Cow::Owned(Value::Null))),
            Self::Has(of, field) => match of.evaluate(scope)?.as_ref() {
                Value::Object(map) => Ok(Cow::Owned(json!(map.get(field).is_some_and(|value| !value.is_null())))),
                Value::Null => Err(format!("no such key: {field}")),
                _ => Err("no such overload".to_owned()),
            },
            Self::Index(of, key) => index(of.evaluate(scope)?, key.evaluate(scope)?.as_ref()),
            Self::Not(of) => Ok(Cow::Owned(json!(!truth(of.evaluate(scope)?.as_ref())?))),
            Self::Negate(of) => functions::binary(Operator::Subtract, &json!(0), of.evaluate(scope)?.as_ref()).map(Cow::Owned),
            Self::Binary(operator @ (Operator::And | Operator::Or), sides) => {
                either(&sides.0, &sides.1, scope, *operator == Operator::Or).map(|held| Cow::Owned(json!(held)))
            }
            Self::Binary(operator, sides) => {
                let (left, right) = (sides.0.evaluate(scope)?, sides.1.evaluate(scope)?);
                functions::binary(*operator, &left, &right).map(Cow::Owned)
            }
            Self::Choose(parts) => {
                let (condition, one, other) = parts.as_ref();
                if truth(condition.evaluate(scope)?.as_ref())? { one.evaluate(scope) } else { other.evaluate(scope) }
            }
            Self::List(items) => {
                let items: Result<Vec<Value>, String> =
                    items.iter().map(|item| item.evaluate(scope).map(Cow::into_owned)).collect();
                Ok(Cow::Owned(Value::Array(items?)))
            }
            Self::Map(entries) => {
                let mut map = Map::new();
                for (key, value) in entries {
                    map.insert(functions::text(key.evaluate(scope)?.as_ref())?, value.evaluate(scope)?.into_owned());
                }
                Ok(Cow::Owned(Value::Object(map)))
            }
            Self::Call(name, arguments) => {
                let arguments: Result<Vec<Cow<'_, Value>>, String> =
                    arguments.iter().map(|argument| argument.evaluate(scope)).collect();
                functions::call(name, &arguments?).map(Cow::Owned)
            }
            Self::Each(each) => each.run(scope).map(Cow::Owned),
        }
    }
}

/// `&&` and `||`: an error on one side does not matter where the other decides.
fn either(left: &Expression, right: &Expression, scope: &Scope<'_>, decides: bool) -> Result<bool, String> {
    let held = |side: &Expression| side.evaluate(scope).and_then(|value| truth(&value));
    let first = held(left);
    if first == Ok(decides) {
        return first;
    }
    match held(right) {
        Ok(second) if second == decides => Ok(second),
        second => first.and(second),
    }
}

fn truth(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "no such overload".to_owned())
}

fn select<'a>(of: Cow<'a, Value>, field: &str) -> Outcome<'a> {
    let missing = || format!("no such key: {field}");
    if !of.is_object() {
        return Err(if of.is_null() { missing() } else { "no such overload".to_owned() });
    }
    match of {
        Cow::Borrowed(map) => map.get(field).map(Cow::Borrowed).ok_or_else(missing),
        Cow::Owned(map) => map.get(field).cloned().map(Cow::Owned).ok_or_else(missing),
    }
}

fn index<'a>(of: Cow<'a, Value>, key: &Value) -> Outcome<'a> {
    match (of.as_ref(), key) {
        (Value::Array(items), Value::Number(number)) => {
            let at = number.as_u64().and_then(|number| items.get(number as usize));
            at.cloned().map(Cow::Owned).ok_or_else(|| format!("index out of bounds: {number}"))
        }
        (Value::Object(_), Value::String(field)) => select(of, field),
        _ => Err("no such overload".to_owned()),
    }
}

impl Macro {
    /// `all`, `exists`, `exists_one`, `filter` and `map` over a list, or over the keys of a map.
    fn run(&self, scope: &Scope<'_>) -> Result<Value, String> {
        let range = self.range.evaluate(scope)?;
        let keys;
        let items: &[Value] = match range.as_ref() {
            Value::Array(items) => items,
            Value::Object(map) => {
                keys = map.keys().map(|key| json!(key)).collect::<Vec<_>>();
                &keys
            }
            _ => return Err("no such overload".to_owned()),
        };
        let (mut kept, mut count, mut trouble) = (Vec::new(), 0_usize, None);
        for item in items {
            let inner = Scope { outer: Some(scope), name: &self.variable, value: item };
            if self.name == "map" {
                kept.push(self.body.evaluate(&inner)?.into_owned());
                continue;
            }
            match self.body.evaluate(&inner).and_then(|value| truth(&value)) {
                Ok(true) => {
                    count += 1;
                    kept.push(item.clone());
                }
                Ok(false) => {}
                Err(error) => trouble = Some(error),
            }
        }
        let failing = items.len() - count - usize::from(trouble.is_some());
        match (self.name.as_str(), trouble) {
            ("all", _) if failing > 0 => Ok(json!(false)),
            ("exists", _) if count > 0 => Ok(json!(true)),
            (_, Some(error)) => Err(error),
            ("all", None) => Ok(json!(true)),
            ("exists", None) => Ok(json!(false)),
            ("exists_one", None) => Ok(json!(count == 1)),
            _ => Ok(Value::Array(kept)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluate(source: &str) -> Result<Value, String> {
        let object = json!({"metadata": {"name": "web", "labels": {"app": "web", "tier": "a"}},
            "spec": {"replicas": 3, "share": 0.5, "containers": [{"name": "a", "image": "nginx:1"}, {"name": "b", "image": "redis"}]}});
        let names = [("object", &object)];
        Program::compile(source, &["object"])?.evaluate(&names)
    }

    #[test]
    fn expressions_of_policies_hold_or_not() {
        for holds in [
            "object.spec.replicas <= 5 && object.spec.replicas > 2",
            "has(object.metadata.labels) && object.metadata.labels['app'] == \"web\"",
            "!has(object.metadata.annotations)",
            "object.spec.containers.all(c, c.name in ['a', 'b'])",
            "object.spec.containers.exists(c, c.image.endsWith(':1') || c.missing == 1)",
            "object.spec.containers.exists_one(c, c.image.contains('redis'))",
            "object.spec.containers.map(c, c.name) == ['a', 'b']",
            "object.spec.containers.filter(c, c.image.matches('^nginx:[0-9]+$')).size() == 1",
            "size(object.metadata.name) == 3 && 'app' in object.metadata.labels",
            "object.?spec.?paused.orValue(false) == false",
            "object.spec.replicas * 2 - 1 == 5 && 7 % 4 == 3 && -7 / 2 == -3",
            "object.spec.share == 1.0 / 2.0 && object.spec.replicas == 3.0",
            "(object.spec.replicas > 5 ? 'many' : 'few') == 'few'",
            "'a,b'.split(',').join('-') == 'a-b' && 'Web'.lowerAscii() == object.metadata.name",
            "string(object.spec.replicas) + 'x' == '3x' && int('4') == 4",
            "false || true && !false",
            "object.nope.nope == 1 || true",
            "{'a': 1}.a == 1 // said so",
        ] {
            assert_eq!(evaluate(holds), Ok(json!(true)), "{holds}");
        }
        assert_eq!(evaluate("object.spec.containers.all(c, c.image.startsWith('nginx'))"), Ok(json!(false)));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_languages_words() {
        for (wrong, why) in [
            ("object.spec.nope == 1", "no such key: nope"),
            ("object.spec.replicas == 1 && object.spec.replicas", "no such overload"),
            ("object.spec.containers[7]", "index out of bounds: 7"),
            ("1 / 0", "division by zero"),
            ("'a' + 1", "no such overload"),
        ] {
            let got = evaluate(wrong);
            assert!(got == Err(why.to_owned()) || wrong.contains("&&") && got == Ok(json!(false)), "{wrong}: {got:?}");
        }
        let wrong = evaluate("object.spec.").unwrap_err();
        assert!(
            wrong.starts_with("ERROR: <input>:1:13: Syntax error: ") && wrong.ends_with("\n | object.spec.\n | ............^"),
            "{wrong}"
        );
        for (wrong, name) in [("other.spec", "other"), ("authorizer.path('/')", "authorizer"), ("quantity('1')", "quantity")] {
            let why = evaluate(wrong).unwrap_err();
            assert!(why.contains(&format!("undeclared reference to '{name}' (in container '')")), "{why}");
        }
        assert!(evaluate(&"(".repeat(5000)).is_err(), "depth is bounded");
        assert!(evaluate(&"!".repeat(5000)).is_err(), "depth is bounded");
    }
}
