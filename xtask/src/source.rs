//! Rust source with what is not code blanked out, so that words can be searched for in the code alone.

use crate::tree::Tree;

/// One Rust file of the tree.
pub(crate) struct Source<'a> {
    /// Path from the root.
    pub(crate) path: &'a str,
    /// The file with comments and the content of literals turned into spaces; lines stay where they are.
    pub(crate) code: String,
}

impl<'a> Source<'a> {
    /// The Rust files of the tree.
    pub(crate) fn all(tree: &'a Tree) -> impl Iterator<Item = Self> {
        tree.texts(&[".rs"]).map(|(path, text)| Self { path, code: code_of(text) })
    }

    /// True for tests, benchmarks, examples and build scripts, which are not part of what is shipped.
    pub(crate) fn is_beside_the_product(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| {
            matches!(part, "tests" | "benches" | "examples" | "build.rs" | "tests.rs" | "fuzz_targets")
        })
    }

    /// Lines, counted from 1, where `word` stands and is not the end of a longer name.
    pub(crate) fn lines_with(&self, word: &str) -> Vec<usize> {
        lines_with(&self.code, word)
    }

    /// The code without the items under `#[cfg(test)]`.
    pub(crate) fn without_unit_tests(&self) -> Self {
        Self { path: self.path, code: blank_unit_tests(&self.code) }
    }
}

fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let stands = |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + word.len()..].chars().next();
            let ends_open = word.ends_with(is_name_part);
            let is_longer =
                before.is_some_and(is_name_part) || (ends_open && after.is_some_and(is_name_part));
            !is_longer
        })
    };
    code.lines().enumerate().filter(|(_, line)| stands(line)).map(|(index, _)| index + 1).collect()
}

fn is_name_part(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Blanks comments and the content of string and character literals; keeps every line break.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let begins_a_name = !code.chars().next_back().is_some_and(is_name_part);
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if first == '"' {
            string(rest)
        } else if let Some(length) = raw_string(rest).filter(|_| begins_a_name) {
            length
        } else if let Some(length) = character(rest) {
            length
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.extend(rest[..length].chars().map(|character| if character == '\n' { '\n' } else { ' ' }));
        rest = &rest[length..];
    }
    code
}

/// Length of a block comment, nested ones within it.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text.as_bytes()[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if text.as_bytes()[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// Length of a string literal from its opening quote.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a raw string literal (`r"…"`, `br#"…"#`), if one begins here.
fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix('b').or_else(|| text.strip_prefix('c')).unwrap_or(text).strip_prefix('r')?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let content = body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = content.find(&end).map_or(content.len(), |at| at + end.len());
    Some(text.len() - content.len() + length)
}

/// Length of a character literal, if one begins here; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    if let Some(escape) = inner.strip_prefix('\\') {
        let first = escape.chars().next()?.len_utf8();
        return Some(2 + first + escape[first..].find('\'')? + 1);
    }
    let first = inner.chars().next()?.len_utf8();
    inner[first..].starts_with('\'').then_some(first + 2)
}

/// Blanks each item under `#[cfg(test)]`: up to its closing brace, or to its semicolon.
fn blank_unit_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..start]);
        let item = &rest[start..];
        let length = item_length(item);
        kept.extend(item[..length].chars().map(|character| if character == '\n' { '\n' } else { ' ' }));
        rest = &item[length..];
    }
    kept.push_str(rest);
    kept
}

fn item_length(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, character) in item.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_stay() {
        let text = "let a = \"x // {\"; // gone\n/* gone /* too */ gone\n*/ let b = '\"'; let c = 'x';\nlet d: &'a str;";
        let code = code_of(text);
        assert_eq!(code.lines().count(), text.lines().count());
        for gone in ["gone", "{", "x"] {
            assert!(!code.contains(gone), "{gone} in {code}");
        }
        for kept in ["let a", "let b", "let c", "let d: &'a str;"] {
            assert!(code.contains(kept), "{kept} not in {code}");
        }
    }

    #[test]
    fn raw_strings_end_at_their_own_hashes() {
        let code = code_of("let a = br##\"one \"# two\"##; let b = r\"\\\"; let raw = bar; c\"x\"");
        assert!(code.contains("let b =") && code.contains("let raw = bar;"), "{code}");
        assert!(!code.contains("one") && !code.contains("two"));
    }

    #[test]
    fn escaped_quotes_do_not_end_a_literal() {
        let code = code_of(r#"let a = "\"gone"; let b = '\''; let c = '\u{1F600}'; let d = b'\\'; end"#);
        assert!(!code.contains("gone") && code.ends_with("end"), "{code}");
        assert_eq!(code.matches("let").count(), 4);
    }

    #[test]
    fn words_are_whole_names() {
        assert_eq!(lines_with("forbid(unsafe_code)\nunsafe {}\nmy_unsafe()", "unsafe"), [2]);
        assert_eq!(lines_with("my_println!()\nstd::println!()", "println!"), [2]);
    }

    #[test]
    fn unit_tests_are_blanked_up_to_their_brace() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { if x { println!() } }\n}\nfn c() {}\n#[cfg(test)]\nmod more;\nfn d() {}";
        let kept = blank_unit_tests(code);
        assert!(kept.contains("fn a") && kept.contains("fn c") && kept.contains("fn d"));
        assert!(!kept.contains("println") && !kept.contains("more"));
        assert_eq!(kept.lines().count(), code.lines().count());
    }
}
