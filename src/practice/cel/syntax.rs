//! Reading expressions: words, then what they make together.

use serde_json::{Value, json};

use super::functions;

/// An expression.
#[derive(Debug)]
pub enum Expression {
    /// A constant.
    Literal(Value),
    /// A variable.
    Name(String),
    /// `a.b`.
    Select(Box<Self>, String),
    /// `a.?b`: nothing where there is none.
    Maybe(Box<Self>, String),
    /// `has(a.b)`.
    Has(Box<Self>, String),
    /// `a[b]`.
    Index(Box<Self>, Box<Self>),
    /// `!a`.
    Not(Box<Self>),
    /// `-a`.
    Negate(Box<Self>),
    /// `a + b`.
    Binary(Operator, Box<(Self, Self)>),
    /// `a ? b : c`.
    Choose(Box<(Self, Self, Self)>),
    /// `[a, b]`.
    List(Vec<Self>),
    /// `{a: b}`.
    Map(Vec<(Self, Self)>),
    /// `f(a)`, and `a.f(b)` as `f(a, b)`.
    Call(String, Vec<Self>),
    /// `a.all(x, b)`.
    Each(Box<Macro>),
}

/// A macro over a list or the keys of a map.
#[derive(Debug)]
pub struct Macro {
    /// `all`, `exists`, `exists_one`, `filter` or `map`.
    pub name: String,
    /// What it goes over.
    pub range: Expression,
    /// What each is called.
    pub variable: String,
    /// What is asked of each.
    pub body: Expression,
}

/// What stands between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `||`
    Or,
    /// `&&`
    And,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<=`
    AtMost,
    /// `>=`
    AtLeast,
    /// `<`
    Less,
    /// `>`
    Greater,
    /// `in`
    In,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Rest,
}

/// Operators by how tightly they bind, the loosest first.
static LEVELS: &[&[(&str, Operator)]] = &[
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("!=", Operator::Unequal),
        ("<=", Operator::AtMost),
        (">=", Operator::AtLeast),
        ("<", Operator::Less),
        (">", Operator::Greater),
        ("in", Operator::In),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Rest)],
];
const SIGNS: &[&str] = &[
    "||", "&&", "==", "!=", "<=", ">=", ".?", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")", "[", "]",
    "{", "}",
];
const MACROS: &[&str] = &["all", "exists", "exists_one", "filter", "map"];
/// How deep expressions may nest.
const DEPTH: usize = 100;

#[derive(Clone, Debug, PartialEq)]
enum Word {
    Name(String),
    Sign(&'static str),
    Literal(Value),
    End,
}

/// Where, and what is wrong there.
type Wrong = (usize, String);

/// Parses a whole expression over these names.
pub fn parse(source: &str, names: &[&str]) -> Result<Expression, String> {
    let parsed = words(source).and_then(|words| {
        let mut parser = Parser { words: &words, at: 0, depth: 0, names: names.iter().map(|name| (*name).to_owned()).collect() };
        let expression = parser.expression()?;
        match parser.peek() {
            Word::End => Ok(expression),
            _ => Err(parser.unexpected()),
        }
    });
    parsed.map_err(|(at, why)| {
        let before = source.get(..at).unwrap_or(source);
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let shown = source.lines().nth(line).unwrap_or_default();
        format!("ERROR: <input>:{}:{}: {why}\n | {shown}\n | {}^", line + 1, column + 1, ".".repeat(column))
    })
}

fn words(source: &str) -> Result<Vec<(usize, Word)>, Wrong> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or_default();
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (word, length) = word(rest).map_err(|why| (at, format!("Syntax error: {why}")))?;
        words.push((at, word));
        at += length;
    }
    words.push((source.len(), Word::End));
    Ok(words)
}

fn word(rest: &str) -> Result<(Word, usize), String> {
    let first = rest.chars().next().unwrap_or_default();
    let raw = rest.starts_with("r'") || rest.starts_with("r\"");
    if raw || first == '\'' || first == '"' {
        return string(rest, raw);
    }
    if first.is_ascii_digit() {
        let mut length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let fraction = rest.get(length..).and_then(|rest| rest.strip_prefix('.')).unwrap_or_default();
        let digits = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
        if digits > 0 {
            length += 1 + digits;
        }
        let written = rest.get(..length).unwrap_or_default();
        let number =
            if digits > 0 { written.parse().ok().map(|n: f64| json!(n)) } else { written.parse().ok().map(|n: i64| json!(n)) };
        return number.map(|number| (Word::Literal(number), length)).ok_or_else(|| "invalid number".to_owned());
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let name = rest.get(..length).unwrap_or_default();
        let word = match name {
            "true" => Word::Literal(json!(true)),
            "false" => Word::Literal(json!(false)),
            "null" => Word::Literal(Value::Null),
            "in" => Word::Sign("in"),
            name => Word::Name(name.to_owned()),
        };
        return Ok((word, length));
    }
    let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
    sign.map(|sign| (Word::Sign(sign), sign.len())).ok_or_else(|| format!("token recognition error at: '{first}'"))
}

fn string(rest: &str, raw: bool) -> Result<(Word, usize), String> {
    let body = rest.get(usize::from(raw)..).unwrap_or_default();
    let quote = ["'''", "\"\"\"", "'", "\""].into_iter().find(|quote| body.starts_with(quote)).unwrap_or("'");
    let (mut text, mut characters) = (String::new(), body.char_indices().skip(quote.len()));
    while let Some((at, character)) = characters.next() {
        if body.get(at..).is_some_and(|rest| rest.starts_with(quote)) {
            return Ok((Word::Literal(json!(text)), usize::from(raw) + at + quote.len()));
        }
        if character != '\\' || raw {
            text.push(character);
            continue;
        }
        let escaped = characters.next().map(|(_, escaped)| escaped);
        text.push(match escaped {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some(same @ ('\\' | '\'' | '"' | '`' | '?')) => same,
            _ => return Err("invalid escape in a string".to_owned()),
        });
    }
    Err("a string without its end".to_owned())
}

fn undeclared(at: usize, name: &str) -> Wrong {
    (at, format!("undeclared reference to '{name}' (in container '')"))
}

struct Parser<'a> {
    words: &'a [(usize, Word)],
    at: usize,
    depth: usize,
    names: Vec<String>,
}

impl Parser<'_> {
    fn peek(&self) -> &Word {
        self.words.get(self.at).map_or(&Word::End, |(_, word)| word)
    }

    fn place(&self) -> usize {
        self.words.get(self.at).map_or(0, |(at, _)| *at)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Word::Sign(present) if *present == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), Wrong> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn name(&mut self) -> Result<String, Wrong> {
        let Word::Name(name) = self.peek().clone() else { return Err(self.unexpected()) };
        self.at += 1;
        Ok(name)
    }

    fn unexpected(&self) -> Wrong {
        let found = match self.peek() {
            Word::Name(name) => name.clone(),
            Word::Sign(sign) => (*sign).to_owned(),
            Word::Literal(value) => value.to_string(),
            Word::End => "<EOF>".to_owned(),
        };
        (self.place(), format!("Syntax error: mismatched input '{found}'"))
    }

    fn expression(&mut self) -> Result<Expression, Wrong> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err((self.place(), format!("Syntax error: expression recursion limit exceeded: {DEPTH}")));
        }
        let condition = self.level(0)?;
        let whole = if self.take("?") {
            let one = self.expression()?;
            self.expect(":")?;
            Expression::Choose(Box::new((condition, one, self.expression()?)))
        } else {
            condition
        };
        self.depth -= 1;
        Ok(whole)
    }

    fn level(&mut self, level: usize) -> Result<Expression, Wrong> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.level(level + 1)?;
        while let Some((_, operator)) = operators.iter().find(|(sign, _)| self.take(sign)) {
            left = Expression::Binary(*operator, Box::new((left, self.level(level + 1)?)));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, Wrong> {
        let (mut not, mut negate) = (0_usize, 0_usize);
        while self.take("!") {
            not += 1;
        }
        while not == 0 && self.take("-") {
            negate += 1;
        }
        let mut of = self.member()?;
        if not % 2 == 1 {
            of = Expression::Not(Box::new(of));
        }
        if negate % 2 == 1 {
            of = Expression::Negate(Box::new(of));
        }
        Ok(of)
    }

    fn member(&mut self) -> Result<Expression, Wrong> {
        let mut of = self.primary()?;
        loop {
            if self.take(".?") {
                of = Expression::Maybe(Box::new(of), self.name()?);
            } else if self.take("[") {
                let key = self.expression()?;
                self.expect("]")?;
                of = Expression::Index(Box::new(of), Box::new(key));
            } else if self.take(".") {
                let (at, name) = (self.place(), self.name()?);
                of = if self.take("(") { self.method(of, at, name)? } else { Expression::Select(Box::new(of), name) };
            } else {
                return Ok(of);
            }
        }
    }

    fn method(&mut self, of: Expression, at: usize, name: String) -> Result<Expression, Wrong> {
        if MACROS.contains(&name.as_str()) {
            let variable = self.name()?;
            self.expect(",")?;
            self.names.push(variable.clone());
            let body = self.expression()?;
            self.names.pop();
            self.expect(")")?;
            return Ok(Expression::Each(Box::new(Macro { name, range: of, variable, body })));
        }
        if !functions::NAMES.contains(&name.as_str()) {
            return Err(undeclared(at, &name));
        }
        let mut arguments = vec![of];
        arguments.extend(self.list(")")?);
        Ok(Expression::Call(name, arguments))
    }

    fn list(&mut self, end: &str) -> Result<Vec<Expression>, Wrong> {
        let mut items = Vec::new();
        while !self.take(end) {
            items.push(self.expression()?);
            if !self.take(",") {
                self.expect(end)?;
                break;
            }
        }
        Ok(items)
    }

    fn primary(&mut self) -> Result<Expression, Wrong> {
        let at = self.place();
        match self.peek().clone() {
            Word::Literal(value) => {
                self.at += 1;
                Ok(Expression::Literal(value))
            }
            Word::Name(name) => {
                self.at += 1;
                if self.take("(") { self.function(at, name) } else { self.variable(at, name) }
            }
            Word::Sign("(") => {
                self.at += 1;
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            Word::Sign("[") => {
                self.at += 1;
                self.list("]").map(Expression::List)
            }
            Word::Sign("{") => {
                self.at += 1;
                self.map()
            }
            Word::Sign(_) | Word::End => Err(self.unexpected()),
        }
    }

    fn variable(&self, at: usize, name: String) -> Result<Expression, Wrong> {
        if self.names.contains(&name) { Ok(Expression::Name(name)) } else { Err(undeclared(at, &name)) }
    }

    fn function(&mut self, at: usize, name: String) -> Result<Expression, Wrong> {
        let known = name == "has" || functions::NAMES.contains(&name.as_str());
        if !known {
            return Err(undeclared(at, &name));
        }
        let mut arguments = self.list(")")?;
        if name != "has" {
            return Ok(Expression::Call(name, arguments));
        }
        match (arguments.pop(), arguments.is_empty()) {
            (Some(Expression::Select(of, field)), true) => Ok(Expression::Has(of, field)),
            _ => Err((at, "Syntax error: invalid argument to has() macro".to_owned())),
        }
    }

    fn map(&mut self) -> Result<Expression, Wrong> {
        let mut entries = Vec::new();
        while !self.take("}") {
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?));
            if !self.take(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Expression::Map(entries))
    }
}
