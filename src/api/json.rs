//! Request bodies: JSON as Go decodes it.
//!
//! Callers rely on Go's manners: the first value of the body counts and the rest is ignored, keys
//! match whatever their case, of duplicates the last wins, `null` means that the field was not
//! given, unknown keys are refused by name. So a body is parsed into an ordered tree and read
//! through a table of the fields an object may have.

use super::duration::{self, Nanos};
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// Why a body cannot be read. Displayed as Go's decoder would say it, or close to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misread {
    /// Not JSON.
    #[error("{0}")]
    Syntax(String),
    /// Not an object where there must be one.
    #[error("json: cannot unmarshal {0} into Go value of type object")]
    NotAnObject(String),
    /// A key that means nothing.
    #[error("json: unknown field {key:?}")]
    UnknownField {
        /// Where the object stands that has it; empty at the top.
        path: String,
        /// The key as written.
        key: String,
    },
    /// A value of another type.
    #[error("json: cannot unmarshal {found} into Go struct field {path} of type {go_type}")]
    Mismatch {
        /// Where it stands.
        path: String,
        /// What it is.
        found: String,
        /// What was wanted, as Go calls it.
        go_type: &'static str,
    },
    /// A text that is no duration.
    #[error("{why}")]
    Duration {
        /// Where it stands.
        path: String,
        /// As Go says it.
        why: String,
    },
}

impl Misread {
    /// The same for people, who look for the key and need no Go.
    pub(crate) fn plainly(&self) -> String {
        let key = |path: &str| path.trim_start_matches('.').to_owned();
        match self {
            Self::Syntax(why) => why.clone(),
            Self::NotAnObject(found) => format!("{found}: want an object"),
            Self::UnknownField { path, key: unknown } => {
                format!("unknown key {}", key(&format!("{path}.{unknown}")))
            }
            Self::Mismatch { path, found, go_type } => {
                let want = match *go_type {
                    "string" => "text",
                    "bool" => "true or false",
                    "int" => "a whole number",
                    "time.Duration" => "a duration such as \"10s\"",
                    "[]string" => "a list of texts",
                    "[]object" => "a list of objects",
                    "map" => "an object",
                    other => other,
                };
                format!("{} is a {found}: want {want}", key(path))
            }
            Self::Duration { path, why } => {
                format!(
                    "{}: {}: want a duration such as \"10s\"",
                    key(path),
                    why.trim_start_matches("time: ")
                )
            }
        }
    }
}

/// A JSON value that keeps order and duplicates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    /// Parses the first value of a body. The error is what Go's decoder would say, or close to it.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Misread> {
        let mut reader = serde_json::Deserializer::from_slice(body);
        (JsonVisitor).deserialize(&mut reader).map_err(|e| {
            Misread::Syntax(if body.iter().all(u8::is_ascii_whitespace) {
                "EOF".to_owned()
            } else if e.is_eof() {
                "unexpected EOF".to_owned()
            } else {
                e.to_string()
            })
        })
    }

    /// Parses a whole file, in which nothing may follow the value.
    pub(crate) fn parse_file(text: &str) -> Result<Self, String> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = (JsonVisitor).deserialize(&mut reader).map_err(|e| e.to_string())?;
        reader.end().map_err(|e| e.to_string())?;
        Ok(value)
    }

    fn go_kind(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(_) => "bool".to_owned(),
            Self::Int(n) => format!("number {n}"),
            Self::Float(n) => format!("number {n}"),
            Self::Text(_) => "string".to_owned(),
            Self::List(_) => "array".to_owned(),
            Self::Object(_) => "object".to_owned(),
        }
    }

    /// A text inside a list or a map, where null stands for an empty one.
    fn as_text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Null => Some(String::new()),
            Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// Null, false, zero, empty, or made of nothing but such values.
    pub(super) fn is_blank(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(b) => !b,
            Self::Int(n) => *n == 0,
            Self::Float(n) => *n == 0.0,
            Self::Text(s) => s.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Object(fields) => fields.iter().all(|(_, v)| v.is_blank()),
        }
    }
}

struct JsonVisitor;

impl<'de> DeserializeSeed<'de> for JsonVisitor {
    type Value = Json;
    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Json, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Int(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Float(value as f64), Json::Int))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Float(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            object.push((key, entries.next_value_seed(Self)?));
        }
        Ok(Json::Object(object))
    }
}

/// A field an object may have: its name, then other spellings.
pub(super) type Field = &'static [&'static str];

/// An object read through its table.
pub(super) struct Object<'a> {
    path: String,
    fields: BTreeMap<&'static str, &'a Json>,
}

impl<'a> Object<'a> {
    /// Reads `value` as an object with these fields and no others. `path` is where it stands in
    /// the body (empty at the top), for errors.
    pub(super) fn read(value: &'a Json, path: &str, table: &[Field]) -> Result<Self, Misread> {
        let Json::Object(entries) = value else {
            return Err(match path {
                "" => Misread::NotAnObject(value.go_kind()),
                path => mismatch(value, path, "object"),
            });
        };
        let mut fields = BTreeMap::new();
        for (key, value) in entries {
            let known = table.iter().find(|names| names.iter().any(|name| name.eq_ignore_ascii_case(key)));
            let Some(names) = known else {
                // Editions that have namespaces and partitions send these empty.
                let tenancy = ["namespace", "partition"].contains(&key.to_ascii_lowercase().as_str());
                if tenancy && (value.is_blank() || *value == Json::Text("default".to_owned())) {
                    continue;
                }
                return Err(Misread::UnknownField { path: path.to_owned(), key: key.clone() });
            };
            if *value != Json::Null {
                fields.insert(names[0], value);
            }
        }
        Ok(Self { path: path.to_owned(), fields })
    }

    /// The value of a field, unless it was not given or null.
    pub(super) fn get(&self, field: &str) -> Option<&'a Json> {
        self.fields.get(field).copied()
    }

    /// Where a field stands in the body.
    pub(super) fn path(&self, field: &str) -> String {
        format!("{}.{field}", self.path)
    }

    fn wrong(&self, field: &str, value: &Json, go_type: &'static str) -> Misread {
        mismatch(value, &self.path(field), go_type)
    }

    pub(super) fn text(&self, field: &str) -> Result<String, Misread> {
        match self.get(field) {
            None => Ok(String::new()),
            Some(Json::Text(text)) => Ok(text.clone()),
            Some(other) => Err(self.wrong(field, other, "string")),
        }
    }

    pub(super) fn flag(&self, field: &str) -> Result<bool, Misread> {
        match self.get(field) {
            None => Ok(false),
            Some(Json::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(field, other, "bool")),
        }
    }

    /// A flag that is `default` when it is not given.
    pub(super) fn flag_or(&self, field: &str, default: bool) -> Result<bool, Misread> {
        if self.get(field).is_none() { Ok(default) } else { self.flag(field) }
    }

    pub(super) fn int(&self, field: &str) -> Result<i64, Misread> {
        match self.get(field) {
            None => Ok(0),
            Some(Json::Int(n)) => Ok(*n),
            Some(other) => Err(self.wrong(field, other, "int")),
        }
    }

    /// A Go duration as text, or a number of nanoseconds.
    pub(super) fn duration(&self, field: &str) -> Result<Nanos, Misread> {
        match self.get(field) {
            None => Ok(0),
            Some(Json::Int(nanos)) => Ok(*nanos),
            Some(Json::Float(nanos)) => Ok(*nanos as Nanos),
            Some(Json::Text(text)) if text.is_empty() => Ok(0),
            Some(Json::Text(text)) => {
                duration::parse(text).map_err(|why| Misread::Duration { path: self.path(field), why })
            }
            Some(other) => Err(self.wrong(field, other, "time.Duration")),
        }
    }

    pub(super) fn list(&self, field: &str) -> Result<&'a [Json], Misread> {
        match self.get(field) {
            None => Ok(&[]),
            Some(Json::List(items)) => Ok(items),
            Some(other) => Err(self.wrong(field, other, "[]object")),
        }
    }

    pub(super) fn texts(&self, field: &str) -> Result<Vec<String>, Misread> {
        let go_type = "[]string";
        let items = match self.get(field) {
            None => return Ok(Vec::new()),
            Some(Json::List(items)) => items,
            Some(other) => return Err(self.wrong(field, other, go_type)),
        };
        items.iter().map(|item| item.as_text().ok_or_else(|| self.wrong(field, item, "string"))).collect()
    }

    /// An object with free keys.
    pub(super) fn entries(&self, field: &str) -> Result<&'a [(String, Json)], Misread> {
        match self.get(field) {
            None => Ok(&[]),
            Some(Json::Object(entries)) => Ok(entries),
            Some(other) => Err(self.wrong(field, other, "map")),
        }
    }

    /// An object with free keys and lists of texts as values; of duplicates the last counts.
    pub(super) fn lists(&self, field: &str) -> Result<BTreeMap<String, Vec<String>>, Misread> {
        let mut lists = BTreeMap::new();
        for (key, value) in self.entries(field)? {
            let items: &[Json] = match value {
                Json::List(items) => items,
                Json::Null => &[],
                other => return Err(self.wrong(field, other, "[]string")),
            };
            let texts =
                items.iter().map(|item| item.as_text().ok_or_else(|| self.wrong(field, item, "string")));
            lists.insert(key.clone(), texts.collect::<Result<_, _>>()?);
        }
        Ok(lists)
    }

    /// An object with free keys and texts as values; of duplicates the last counts.
    pub(super) fn pairs(&self, field: &str) -> Result<BTreeMap<String, String>, Misread> {
        let mut pairs = BTreeMap::new();
        for (key, value) in self.entries(field)? {
            let text = value.as_text().ok_or_else(|| self.wrong(field, value, "string"))?;
            pairs.insert(key.clone(), text);
        }
        Ok(pairs)
    }
}

fn mismatch(value: &Json, path: &str, go_type: &'static str) -> Misread {
    Misread::Mismatch { path: path.to_owned(), found: value.go_kind(), go_type }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Field] = &[&["Name"], &["EnableTagOverride", "enable_tag_override"], &["Port"], &["Tags"]];

    fn read(body: &str) -> Result<(String, i64, bool), Misread> {
        let value = Json::parse(body.as_bytes())?;
        let object = Object::read(&value, "", TABLE)?;
        object.texts("Tags")?;
        Ok((object.text("Name")?, object.int("Port")?, object.flag("EnableTagOverride")?))
    }

    #[test]
    fn bodies_are_read_as_go_reads_them() {
        let cases = [
            (r#"{"NAME":"a","port":80,"enable_tag_override":true}"#, ("a", 80, true)),
            (r#"{"Name":"a","name":"b"}"#, ("b", 0, false)),
            (r#"{"Name":"a","name":null}"#, ("a", 0, false)),
            (r#"{"Name":"a"}{"junk":1}"#, ("a", 0, false)),
            (r#" {"Name":"a"} trailing"#, ("a", 0, false)),
            (r#"{"Name":"a","Namespace":"","Partition":"default","Tags":null}"#, ("a", 0, false)),
        ];
        for (body, (name, port, flag)) in cases {
            assert_eq!(read(body), Ok((name.to_owned(), port, flag)), "{body}");
        }
    }

    #[test]
    fn errors_name_the_field_and_what_was_wanted() {
        let cases = [
            ("", "EOF"),
            ("  \n", "EOF"),
            (r#"{"Name":"#, "unexpected EOF"),
            (r#"{"bogus":1}"#, r#"json: unknown field "bogus""#),
            (r#"{"Namespace":"x"}"#, r#"json: unknown field "Namespace""#),
            (r#"{"Port":"80"}"#, "json: cannot unmarshal string into Go struct field .Port of type int"),
            (r#"{"Port":80.5}"#, "json: cannot unmarshal number 80.5 into Go struct field .Port of type int"),
            (r#"{"Tags":"x"}"#, "json: cannot unmarshal string into Go struct field .Tags of type []string"),
            (r#"{"Tags":[1]}"#, "json: cannot unmarshal number 1 into Go struct field .Tags of type string"),
            ("[]", "json: cannot unmarshal array into Go value of type object"),
        ];
        for (body, want) in cases {
            assert_eq!(read(body).map_err(|e| e.to_string()), Err(want.to_owned()), "{body}");
        }
        assert!(read("junk").is_err_and(|e| e.to_string().contains("line 1 column 1")));
    }

    #[test]
    fn a_body_nested_without_end_is_an_error_and_not_a_crash() {
        let deep = "[".repeat(1_000_000);
        assert!(Json::parse(deep.as_bytes()).is_err());
    }
}
