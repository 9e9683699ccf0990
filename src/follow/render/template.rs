//! Templates: minijinja with functions that ask the table.

use super::table::{Answer, Row, Table, Topic};
use crate::client::Health;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What one render may cost: some ten million steps, and in memory 64 bytes for each.
const FUEL: u64 = 20_000_000;

/// The table, as functions of templates and the one who fills it share it.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedTable(Arc<Mutex<Table>>);

impl SharedTable {
    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<T>(&self, topic: Topic, read: impl FnOnce(&Answer) -> T) -> Result<Option<T>, Error> {
        let mut table = self.lock();
        match table.ask(topic) {
            Ok(answer) => Ok(answer.map(read)),
            Err(problem) => Err(Error::new(ErrorKind::InvalidOperation, problem)),
        }
    }
}

/// Renders templates against one table.
pub(super) struct Renderer(Environment<'static>);

impl Renderer {
    pub(super) fn new(table: &SharedTable) -> Self {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        // A slip in a name is an error, and a missing key can still be tested with `if`.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        let syntax =
            SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
        environment.set_syntax(syntax.expect("the delimiters are the usual ones"));
        let asked = table.clone();
        environment.add_function("service", move |name: String, args: Kwargs| service(&asked, &name, &args));
        let asked = table.clone();
        environment.add_function("services", move || {
            let names = asked.ask(Topic::Services, |answer| match answer {
                Answer::Names(names) => names.clone(),
                Answer::Instances(_) | Answer::Nodes(_) => Vec::new(),
            })?;
            Ok(Value::from(names.unwrap_or_default()))
        });
        let asked = table.clone();
        environment.add_function("nodes", move || nodes(&asked, false));
        let asked = table.clone();
        environment.add_function("members", move || nodes(&asked, true));
        environment.add_function("env", env);
        environment.add_filter("host", host);
        environment.add_filter("word", word);
        Self(environment)
    }

    /// `source` with what the table says. Errors begin with `name:line`, and show the line.
    pub(super) fn render(&self, name: &str, source: &str) -> Result<String, String> {
        self.0.render_named_str(name, source, ()).map_err(|error| told(name, source, &error))
    }
}

fn told(name: &str, source: &str, error: &Error) -> String {
    let what = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    let Some(line) = error.line() else { return format!("{name}: {what}") };
    match source.lines().nth(line.saturating_sub(1)) {
        Some(text) => format!("{name}:{line}: {what}\n  {line} | {}", text.trim_end()),
        None => format!("{name}:{line}: {what}"),
    }
}

/// `service(NAME, all=false, passing=false, tag=..., node=...)`.
fn service(table: &SharedTable, name: &str, args: &Kwargs) -> Result<Value, Error> {
    let all = args.get::<Option<bool>>("all")?.unwrap_or(false);
    let passing = args.get::<Option<bool>>("passing")?.unwrap_or(false);
    let (tag, node): (Option<Value>, Option<String>) = (args.get("tag")?, args.get("node")?);
    args.assert_all_used()?;
    let tags = tag.map_or_else(|| Ok(Vec::new()), |tag| tags(&tag))?;
    let wanted = |row: &&Row| {
        let health = if passing { row.health == Health::Passing } else { all || row.health.is_usable() };
        health
            && tags.iter().all(|tag| row.tags.contains(tag))
            && node.as_ref().is_none_or(|node| row.node.eq_ignore_ascii_case(node))
    };
    let rows = table.ask(Topic::Service(name.to_lowercase()), |answer| match answer {
        Answer::Instances(rows) => rows.iter().filter(wanted).map(|row| row.value.clone()).collect(),
        Answer::Names(_) | Answer::Nodes(_) => Vec::new(),
    })?;
    Ok(Value::from(rows.unwrap_or_default()))
}

/// One tag, or a list of them.
fn tags(value: &Value) -> Result<Vec<String>, Error> {
    match value.as_str() {
        Some(tag) => Ok(vec![tag.to_owned()]),
        None => value.try_iter()?.map(|tag| Ok(tag.to_string())).collect(),
    }
}

fn nodes(table: &SharedTable, as_members: bool) -> Result<Value, Error> {
    let rows = table.ask(Topic::Members, |answer| match answer {
        Answer::Nodes(rows) if as_members => rows.iter().map(|row| row.member.clone()).collect(),
        Answer::Nodes(rows) => rows.iter().filter(|row| row.is_live).map(|row| row.node.clone()).collect(),
        Answer::Instances(_) | Answer::Names(_) => Vec::new(),
    })?;
    Ok(Value::from(rows.unwrap_or_default()))
}

/// `env(NAME, DEFAULT)`: a variable of this process's environment.
fn env(name: &str, default: Option<String>) -> Value {
    std::env::var(name).ok().or(default).map_or(Value::UNDEFINED, Value::from)
}

/// An address as it stands before a port: with brackets where it is IPv6.
fn host(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

/// `text` as one word that configuration files take for a name: what is no ASCII letter or digit,
/// `-`, `_` or `.` becomes `_`.
fn word(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    fn row(node: &str, health: Health, tags: &[&str]) -> Row {
        let tags: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
        let value =
            context! { node, address => "10.0.0.1", port => 80, tags => tags.clone(), meta => context! {} };
        Row { health, node: node.to_owned(), tags, value }
    }

    fn renderer() -> (SharedTable, Renderer) {
        let table = SharedTable::default();
        let rows = vec![
            row("n1", Health::Passing, &["v1"]),
            row("n2", Health::Warning, &["v1", "edge"]),
            row("n3", Health::Critical, &["v2"]),
        ];
        table.lock().put(Topic::Service("web".to_owned()), Answer::Instances(rows));
        let renderer = Renderer::new(&table);
        (table, renderer)
    }

    #[test]
    fn instances_are_selected_by_health_tag_and_node() {
        let (_, renderer) = renderer();
        for (call, want) in [
            ("service('web')", "n1 n2"),
            ("service('WEB')", "n1 n2"),
            ("service('web', all=true)", "n1 n2 n3"),
            ("service('web', passing=true)", "n1"),
            ("service('web', tag='v1')", "n1 n2"),
            ("service('web', tag=['v1', 'edge'])", "n2"),
            ("service('web', node='N2')", "n2"),
        ] {
            let source = format!("{{{{ {call}|map(attribute='node')|join(' ') }}}}");
            assert_eq!(renderer.render("t", &source).as_deref(), Ok(want), "{call}");
        }
    }

    #[test]
    fn what_is_not_known_yet_is_noted() {
        let (table, renderer) = renderer();
        renderer
            .render("t", "{% for i in service('Db') %}x{% endfor %}{{ nodes()|length }}")
            .expect("renders");
        let missing: Vec<Topic> = table.lock().take_missing().into_iter().collect();
        assert_eq!(missing, [Topic::Service("db".to_owned()), Topic::Members]);
    }

    #[test]
    fn errors_name_the_line_and_show_it() {
        let (_, renderer) = renderer();
        for (source, line, part) in [
            ("a\n{% for i in service('web') %}\n{{ i.adress }}\n{% endfor %}", 3, "{{ i.adress }}"),
            ("a\n{% for %}", 2, "syntax error"),
            ("{{ nothing() }}", 1, "unknown function"),
            ("\n\n{{ service('web', tga='x') }}", 3, "tga"),
            ("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", 1, "fuel"),
        ] {
            let error = renderer.render("x.tmpl", source).expect_err("fails");
            assert!(
                error.starts_with(&format!("x.tmpl:{line}: ")) && error.contains(part),
                "{source}: {error}"
            );
        }
    }

    #[test]
    fn blocks_leave_no_empty_lines_and_nothing_is_escaped() {
        let (_, renderer) = renderer();
        let source = "begin\n  {% for i in service('web') %}\n  <{{ i.node }}>\n  {% endfor %}\nend\n";
        assert_eq!(renderer.render("x.html", source).as_deref(), Ok("begin\n  <n1>\n  <n2>\nend\n"));
        let source = "{{ '::1'|host }} {{ '10.0.0.1'|host }} {{ 'a b/c'|word }} {{ env('SHOAL_NONE', 'd') }}";
        assert_eq!(renderer.render("t", source).as_deref(), Ok("[::1] 10.0.0.1 a_b_c d"));
    }
}
