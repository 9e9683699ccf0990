//! From an expression's text to a tree.
//!
//! The grammar: `or` of `and` of `not`, parentheses, and conditions `selector == value`,
//! `!= value`, `[not] contains value`, `[not] matches value`, `is [not] empty`, and
//! `value [not] in selector`. Selectors are `A.b["c"]`; values are words, numbers, `"..."` with
//! escapes or raw between backquotes. Nesting, conditions and values are bounded.

/// Most conditions in one expression.
const MATCHES_MAX: usize = 32;
/// Longest value, in bytes.
const VALUE_BYTES_MAX: usize = 512;
/// Deepest nesting of parentheses and `not`.
const DEPTH_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    /// The value is in the field: a part of a text, an element of a list, a key of a map.
    In,
    Matches,
    Empty,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) selector: Vec<String>,
    pub(super) operator: Operator,
    pub(super) negated: bool,
    pub(super) value: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tree {
    Or(Box<Self>, Box<Self>),
    And(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Match(Condition),
}

/// What stands before an operator: it turns out later whether it is a selector or a value.
enum Operand {
    Selector { parts: Vec<String>, text: String },
    Value(String),
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    matches: usize,
    depth: usize,
}

/// Parses a whole expression. The error says where it stopped making sense.
pub(super) fn parse(text: &str) -> Result<Tree, String> {
    let mut parser = Parser { text, at: 0, matches: 0, depth: 0 };
    parser.spaces();
    let tree = parser.any_of()?;
    parser.spaces();
    if parser.at < text.len() {
        return Err(parser.wanted("\"and\", \"or\" or the end"));
    }
    Ok(tree)
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn fail(&self, why: &str) -> String {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!("{line}:{column} ({}): {why}", self.at)
    }

    fn wanted(&self, what: &str) -> String {
        self.fail(&format!("no match found, expected: {what}"))
    }

    /// Skips spaces and says whether there were any.
    fn spaces(&mut self) -> bool {
        let start = self.at;
        let trimmed = self.rest().trim_start_matches([' ', '\t', '\r', '\n']);
        self.at = self.text.len() - trimmed.len();
        self.at > start
    }

    /// Takes `word` if it stands here as a whole word.
    fn word(&mut self, word: &str) -> bool {
        let Some(rest) = self.rest().strip_prefix(word) else { return false };
        if rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            return false;
        }
        self.at += word.len();
        true
    }

    /// Takes `word` if it stands after spaces; otherwise takes nothing.
    fn next_word(&mut self, word: &str) -> bool {
        let start = self.at;
        if self.spaces() && self.word(word) {
            return true;
        }
        self.at = start;
        false
    }

    fn any_of(&mut self) -> Result<Tree, String> {
        let left = self.all_of()?;
        if !self.connective("or") {
            return Ok(left);
        }
        // Both sides are at least one condition, so the recursion is bounded by their number.
        Ok(Tree::Or(Box::new(left), Box::new(self.any_of()?)))
    }

    fn all_of(&mut self) -> Result<Tree, String> {
        let left = self.negation()?;
        if !self.connective("and") {
            return Ok(left);
        }
        Ok(Tree::And(Box::new(left), Box::new(self.all_of()?)))
    }

    fn connective(&mut self, word: &str) -> bool {
        let start = self.at;
        let after_group = self.text[..self.at].ends_with(')');
        if (self.spaces() || after_group) && self.word(word) {
            self.spaces();
            return true;
        }
        self.at = start;
        false
    }

    fn negation(&mut self) -> Result<Tree, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.fail(&format!("nested too deeply, want at most {DEPTH_MAX} levels")));
        }
        let start = self.at;
        let tree = if self.word("not") && (self.spaces() || self.peek() == Some('(')) {
            Tree::Not(Box::new(self.negation()?))
        } else {
            self.at = start;
            if self.peek() == Some('(') {
                self.at += 1;
                self.spaces();
                let inner = self.any_of()?;
                self.spaces();
                if self.peek() != Some(')') {
                    return Err(self.wanted("\")\""));
                }
                self.at += 1;
                inner
            } else {
                Tree::Match(self.condition()?)
            }
        };
        self.depth -= 1;
        Ok(tree)
    }

    fn condition(&mut self) -> Result<Condition, String> {
        self.matches += 1;
        if self.matches > MATCHES_MAX {
            return Err(self.fail(&format!("too many conditions, want at most {MATCHES_MAX}")));
        }
        let start = self.at;
        let left = self.operand()?;
        let negated_in = self.next_word("not") && {
            let is_in = self.next_word("in");
            if !is_in {
                // `not contains` and `not matches` are looked for below.
                self.at -= "not".len();
            }
            is_in
        };
        if negated_in || self.next_word("in") {
            self.spaces();
            let Operand::Selector { parts, .. } = self.operand()? else {
                return Err(self.wanted("a selector"));
            };
            let value = match left {
                Operand::Selector { text, .. } | Operand::Value(text) => text,
            };
            return Ok(Condition { selector: parts, operator: Operator::In, negated: negated_in, value });
        }
        let Operand::Selector { parts: selector, .. } = left else {
            self.at = start;
            return Err(self.wanted("a selector"));
        };
        self.spaces();
        let (operator, negated) = self.operator()?;
        if operator == Operator::Empty {
            return Ok(Condition { selector, operator, negated, value: String::new() });
        }
        self.spaces();
        let value = match self.operand()? {
            Operand::Selector { text, .. } | Operand::Value(text) => text,
        };
        Ok(Condition { selector, operator, negated, value })
    }

    fn operator(&mut self) -> Result<(Operator, bool), String> {
        for (symbol, negated) in [("==", false), ("!=", true)] {
            if self.rest().starts_with(symbol) {
                self.at += symbol.len();
                return Ok((Operator::Equal, negated));
            }
        }
        if self.word("is") {
            let negated = self.next_word("not");
            if self.next_word("empty") {
                return Ok((Operator::Empty, negated));
            }
            return Err(self.wanted("\"empty\" or \"not empty\""));
        }
        let negated = self.word("not");
        if negated {
            self.spaces();
        }
        for (word, operator) in [("contains", Operator::In), ("matches", Operator::Matches)] {
            if self.word(word) {
                return Ok((operator, negated));
            }
        }
        Err(self.wanted("\"!=\", \"==\", \"contains\", \"in\", \"is\", \"matches\" or \"not\""))
    }

    fn operand(&mut self) -> Result<Operand, String> {
        let operand = match self.peek() {
            Some('"') => Operand::Value(self.quoted()?),
            Some('`') => Operand::Value(self.raw()?),
            Some(c) if c.is_ascii_digit() || c == '-' => Operand::Value(self.number()?),
            Some(c) if c.is_ascii_alphabetic() => self.selector()?,
            Some(_) | None => return Err(self.wanted("a selector, a word, a number or a quoted text")),
        };
        let length = match &operand {
            Operand::Selector { text, .. } | Operand::Value(text) => text.len(),
        };
        if length > VALUE_BYTES_MAX {
            return Err(self.fail(&format!("value too long, want at most {VALUE_BYTES_MAX} bytes")));
        }
        Ok(operand)
    }

    fn identifier(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        self.at += end;
        Some(&rest[..end])
    }

    fn selector(&mut self) -> Result<Operand, String> {
        let start = self.at;
        let mut parts = Vec::new();
        match self.identifier() {
            Some(first) => parts.push(first.to_owned()),
            None => return Err(self.wanted("a name")),
        }
        loop {
            match self.peek() {
                Some('.') => {
                    self.at += 1;
                    match self.identifier() {
                        Some(part) => parts.push(part.to_owned()),
                        None => return Err(self.wanted("a name")),
                    }
                }
                Some('[') => {
                    self.at += 1;
                    parts.push(match self.peek() {
                        Some('"') => self.quoted()?,
                        Some('`') => self.raw()?,
                        Some(_) | None => return Err(self.wanted("a quoted text")),
                    });
                    if self.peek() != Some(']') {
                        return Err(self.wanted("\"]\""));
                    }
                    self.at += 1;
                }
                Some(_) | None => break,
            }
        }
        Ok(Operand::Selector { parts, text: self.text[start..self.at].to_owned() })
    }

    fn number(&mut self) -> Result<String, String> {
        let rest = self.rest();
        let end = rest.find([' ', '\t', '\r', '\n', ')']).unwrap_or(rest.len());
        let text = &rest[..end];
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if !all_digits(whole) || !all_digits(part) || leading_zero {
            return Err(self.fail("rule \"number\": Invalid number literal"));
        }
        self.at += end;
        Ok(text.to_owned())
    }

    fn raw(&mut self) -> Result<String, String> {
        let inner = &self.rest()[1..];
        let Some(end) = inner.find('`') else { return Err(self.fail("unterminated text")) };
        self.at += end + 2;
        Ok(inner[..end].to_owned())
    }

    /// A text between double quotes with Go's escapes.
    fn quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        let inner = &self.rest()[1..];
        let mut chars = inner.char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += i + 2;
                    return Ok(text);
                }
                '\\' => {
                    let Some((_, kind)) = chars.next() else { break };
                    let code = match kind {
                        'x' => Some(2),
                        'u' => Some(4),
                        'U' => Some(8),
                        _ => None,
                    };
                    let plain = match kind {
                        'n' => Some('\n'),
                        't' => Some('\t'),
                        'r' => Some('\r'),
                        'a' => Some('\u{7}'),
                        'b' => Some('\u{8}'),
                        'f' => Some('\u{c}'),
                        'v' => Some('\u{b}'),
                        '\\' | '"' => Some(kind),
                        _ => None,
                    };
                    let escaped = match code {
                        Some(length) => {
                            let hex: String = chars.by_ref().take(length).map(|(_, c)| c).collect();
                            let whole = hex.len() == length && hex.bytes().all(|b| b.is_ascii_hexdigit());
                            u32::from_str_radix(&hex, 16).ok().filter(|_| whole).and_then(char::from_u32)
                        }
                        None => plain,
                    };
                    match escaped {
                        Some(c) => text.push(c),
                        None => return Err(self.fail("invalid escape in a quoted text")),
                    }
                }
                '\n' => break,
                c => text.push(c),
            }
        }
        Err(self.fail("unterminated text"))
    }
}
