//! `filter` expressions: which elements of a list the caller wants.
//!
//! The language is that of go-bexpr, which Consul uses. An expression is checked against the
//! fields of the element once, then evaluated on the JSON of each element. Bounded in length,
//! nesting and number of conditions; regular expressions run in linear time.

mod parse;
mod schema;
#[cfg(test)]
mod tests;

pub(super) use schema::{
    AGENT_SERVICE, HEALTH_CHECK, MEMBER, NODE, NODE_SERVICE, SERVICE_ENTRY, SERVICE_NODE,
};

use super::query::parse_bool;
use super::reply::Failure;
use parse::{Condition, Operator, Tree};
use regex::{Regex, RegexBuilder};
use schema::{Kind, Schema};
use serde::Serialize;
use serde_json::Value;

/// Most memory one compiled regular expression may take, in bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;
/// Longest expression, in bytes.
const FILTER_BYTES_MAX: usize = 64 * 1024;

/// An expression ready to be evaluated, or none, which keeps everything.
#[derive(Debug)]
pub(super) struct Filter(Option<Node>);

#[derive(Debug)]
enum Node {
    Or(Box<Self>, Box<Self>),
    And(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Test(Test),
}

#[derive(Debug)]
struct Test {
    selector: Vec<String>,
    schema: Schema,
    negated: bool,
    wants: Wants,
}

#[derive(Debug)]
enum Wants {
    Text(String),
    Int(i64),
    Bool(bool),
    /// A part of a text.
    Part(String),
    /// An element of a list.
    Element(String),
    /// A key of a map.
    Key(String),
    Pattern(Regex),
    Empty,
}

impl Filter {
    /// Checks `text` against the fields an element has. An empty text keeps everything.
    pub(super) fn parse(text: &str, schema: Schema) -> Result<Self, Failure> {
        if text.trim().is_empty() {
            return Ok(Self(None));
        }
        let refuse =
            |why: String| Failure::bad(format!("Failed to create boolean expression evaluator: {why}"));
        if text.len() > FILTER_BYTES_MAX {
            return Err(refuse(format!("expression too long, want at most {FILTER_BYTES_MAX} bytes")));
        }
        let tree = parse::parse(text).map_err(refuse)?;
        Ok(Self(Some(compile(tree, schema).map_err(refuse)?)))
    }

    /// There is no expression.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the caller wants `item`.
    pub(super) fn keeps<T: Serialize>(&self, item: &T) -> bool {
        let Some(node) = &self.0 else { return true };
        serde_json::to_value(item).is_ok_and(|value| evaluate(node, &value))
    }
}

fn compile(tree: Tree, schema: Schema) -> Result<Node, String> {
    Ok(match tree {
        Tree::Or(a, b) => Node::Or(Box::new(compile(*a, schema)?), Box::new(compile(*b, schema)?)),
        Tree::And(a, b) => Node::And(Box::new(compile(*a, schema)?), Box::new(compile(*b, schema)?)),
        Tree::Not(a) => Node::Not(Box::new(compile(*a, schema)?)),
        Tree::Match(condition) => Node::Test(compile_test(condition, schema)?),
    })
}

fn compile_test(condition: Condition, schema: Schema) -> Result<Test, String> {
    let Condition { selector, operator, negated, value } = condition;
    let name = selector.join(".");
    let kind = resolve(&selector, schema).ok_or_else(|| format!("Selector {name:?} is not valid"))?;
    let cannot = |word: &str| {
        let not = if negated { "Not " } else { "" };
        format!("Invalid match operator \"{not}{word}\" for selector {name:?}")
    };
    let coerce = |why: String| format!("Failed to coerce value {value:?} for selector {name:?}: {why}");
    let wants = match (operator, kind) {
        (Operator::Equal, Kind::Text) => Wants::Text(value),
        (Operator::Equal, Kind::Int) => {
            Wants::Int(parse_int(&value).ok_or_else(|| coerce("invalid syntax".to_owned()))?)
        }
        (Operator::Equal, Kind::Bool) => {
            Wants::Bool(parse_bool(&value).ok_or_else(|| coerce("invalid syntax".to_owned()))?)
        }
        (Operator::Equal, Kind::Texts | Kind::Map | Kind::MapOf(_) | Kind::Record(_) | Kind::Records(_)) => {
            return Err(cannot("Equal"));
        }
        (Operator::In, Kind::Text) => Wants::Part(value),
        (Operator::In, Kind::Texts) => Wants::Element(value),
        (Operator::In, Kind::Map | Kind::MapOf(_)) => Wants::Key(value),
        (Operator::In, Kind::Int | Kind::Bool | Kind::Record(_) | Kind::Records(_)) => {
            return Err(cannot("In"));
        }
        (Operator::Matches, Kind::Text) => {
            let pattern = RegexBuilder::new(&value).size_limit(REGEX_BYTES_MAX).build();
            Wants::Pattern(pattern.map_err(|e| coerce(e.to_string()))?)
        }
        (
            Operator::Matches,
            Kind::Int
            | Kind::Bool
            | Kind::Texts
            | Kind::Map
            | Kind::MapOf(_)
            | Kind::Record(_)
            | Kind::Records(_),
        ) => return Err(cannot("Matches")),
        (Operator::Empty, Kind::Texts | Kind::Map | Kind::MapOf(_) | Kind::Records(_)) => Wants::Empty,
        (Operator::Empty, Kind::Text | Kind::Int | Kind::Bool | Kind::Record(_)) => {
            return Err(cannot("Is Empty"));
        }
    };
    Ok(Test { selector, schema, negated, wants })
}

/// The kind of what a selector leads to.
fn resolve(selector: &[String], schema: Schema) -> Option<Kind> {
    let (first, rest) = selector.split_first()?;
    let (_, kind) = schema.iter().find(|(name, _)| name == first)?;
    match (*kind, rest) {
        (kind, []) => Some(kind),
        (Kind::Record(inner) | Kind::Records(inner), rest) => resolve(rest, inner),
        (Kind::Map, [_]) => Some(Kind::Text),
        (Kind::MapOf(inner), [_]) => Some(Kind::Record(inner)),
        (Kind::MapOf(inner), rest) => resolve(&rest[1..], inner),
        (Kind::Map | Kind::Text | Kind::Int | Kind::Bool | Kind::Texts, _) => None,
    }
}

/// An integer in Go's base 0: decimal, `0x`, `0o`, `0b`, or octal after a zero.
fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.as_str() {
        "0" => (10, "0"),
        d if d.starts_with("0x") => (16, &lower[2..]),
        d if d.starts_with("0o") => (8, &lower[2..]),
        d if d.starts_with("0b") => (2, &lower[2..]),
        d if d.starts_with('0') => (8, &lower[1..]),
        d => (10, d),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i64::from_str_radix(digits, base).ok()?;
    Some(if negative { -value } else { value })
}

fn evaluate(node: &Node, item: &Value) -> bool {
    match node {
        Node::Or(a, b) => evaluate(a, item) || evaluate(b, item),
        Node::And(a, b) => evaluate(a, item) && evaluate(b, item),
        Node::Not(a) => !evaluate(a, item),
        Node::Test(test) => follow(test, &test.selector, test.schema, item),
    }
}

/// Walks to the selected value; a condition on a list of objects holds if it does for any.
fn follow(test: &Test, selector: &[String], schema: Schema, item: &Value) -> bool {
    let Some((first, rest)) = selector.split_first() else { return false };
    let Some((_, kind)) = schema.iter().find(|(name, _)| name == first) else { return false };
    // Fields that are left out when empty.
    let value = item.get(first.as_str()).unwrap_or(&Value::Null);
    match (*kind, rest) {
        (_, []) => judge(test, value),
        (Kind::Record(inner), rest) => follow(test, rest, inner, value),
        (Kind::Records(inner), rest) => {
            value.as_array().is_some_and(|items| items.iter().any(|item| follow(test, rest, inner, item)))
        }
        (Kind::Map, [key, ..]) => match value.get(key.as_str()) {
            Some(value) => judge(test, value),
            // A key that is not there equals nothing and matches nothing.
            None => test.negated,
        },
        (Kind::MapOf(inner), [key, rest @ ..]) => match value.get(key.as_str()) {
            Some(value) => follow(test, rest, inner, value),
            None => test.negated,
        },
        (Kind::Text | Kind::Int | Kind::Bool | Kind::Texts, _) => false,
    }
}

fn judge(test: &Test, value: &Value) -> bool {
    let text = || value.as_str().unwrap_or("");
    let holds = match &test.wants {
        Wants::Text(wanted) => text() == wanted,
        Wants::Int(wanted) => value.as_i64().unwrap_or(0) == *wanted,
        Wants::Bool(wanted) => value.as_bool().unwrap_or(false) == *wanted,
        Wants::Part(wanted) => text().contains(wanted.as_str()),
        Wants::Element(wanted) => {
            value.as_array().is_some_and(|items| items.iter().any(|item| item.as_str() == Some(wanted)))
        }
        Wants::Key(wanted) => value.get(wanted.as_str()).is_some(),
        Wants::Pattern(pattern) => pattern.is_match(text()),
        Wants::Empty => match value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        },
    };
    holds != test.negated
}
