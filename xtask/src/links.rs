//! Relative links of the documents.

use crate::finding::Finding;
use crate::tree::Tree;

/// Links in `*.md` to files that are not there.
pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(&[".md"]) {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        for (line, link) in links(text) {
            let target = link.split(['#', '?']).next().unwrap_or_default();
            if target.is_empty() || target.starts_with("mailto:") || target.contains("://") {
                continue;
            }
            let what = match resolve(directory, target) {
                Some(file) if tree.has(&file) => continue,
                Some(file) => format!("link to {file}, which is not there"),
                None => format!("link {link} leaves the repository"),
            };
            findings.push(Finding::new(path, line, what));
        }
    }
    findings
}

/// The links of a page with their lines; code is left out.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    let mut in_fence = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        } else if !in_fence {
            // Pieces between backticks are code: every second one.
            let prose: Vec<&str> = line.split('`').step_by(2).collect();
            let prose = prose.join("`");
            for (opening, closing) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
                let ends = prose.match_indices(opening).map(|(at, _)| &prose[at + opening.len()..]);
                let found = ends.filter_map(|rest| rest.split_once(closing));
                links.extend(found.map(|(link, _)| (index + 1, first_word(link).to_string())));
            }
            if let Some((_, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
                links.push((index + 1, first_word(target).to_string()));
            }
        }
    }
    links
}

/// The address of a link without its title.
fn first_word(link: &str) -> &str {
    link.split_whitespace().next().unwrap_or_default()
}

/// The path from the root that a link means; none where it leaves the repository.
fn resolve(directory: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(page: &str) -> Vec<String> {
        let tree = Tree::of(&[("docs/page.md", page), ("docs/formats/data.md", ""), ("README.md", "")]);
        findings(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        let page = "[a](formats/data.md#rows) [b](../README.md) [c](formats/) [d](#top)\n[e](https://example.org/x.md)\n[f]: formats/data.md\n";
        assert_eq!(found(page), Vec::<String>::new());
    }

    #[test]
    fn broken_links_of_every_kind_are_found_with_their_line() {
        let page = "x\n[a](formats/none.md)\n<img src=\"picture.svg\">\n[b]: ../none.md \"title\"\n[c](../../out.md)\n";
        assert_eq!(
            found(page),
            [
                "docs/page.md:2: link to docs/formats/none.md, which is not there",
                "docs/page.md:3: link to docs/picture.svg, which is not there",
                "docs/page.md:4: link to none.md, which is not there",
                "docs/page.md:5: link ../../out.md leaves the repository",
            ]
        );
    }

    #[test]
    fn code_holds_no_links() {
        assert_eq!(found("`[a](none.md)`\n```\n[a](none.md)\n```\n"), Vec::<String>::new());
    }
}
