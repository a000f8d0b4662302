//! Parts of a model that are hit, and which of them are rivals: neither lies inside the other.

/// Beginnings of names of tables, in the models that radhard knows.
const TABLES: [&str; 4] = ["embedding.", "linear.fc", "emb_l.", "sparse_extractor"];
/// Beginnings of names of networks.
const NETWORKS: [&str; 7] = ["mlp.", "cn.", "afm.", "bot_l.", "top_l.", "predictor.", "dense_extractor."];

/// One item of a target: what is selected, and which bits of it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Item<'a> {
    selector: &'a str,
    bits: &'a str,
}

fn items(target: &str) -> impl Iterator<Item = Item<'_>> {
    target.split(',').map(|item| {
        let (selector, bits) = item.split_once('@').unwrap_or((item, ""));
        Item { selector: selector.trim(), bits: bits.trim() }
    })
}

/// `embedding` or `dense` where a selector lies inside it by its name alone.
fn component(selector: &str) -> Option<&str> {
    let begins = |names: &[&str]| names.iter().any(|name| selector.starts_with(name));
    match selector {
        "embedding" | "dense" => Some(selector),
        _ if begins(&TABLES) => Some("embedding"),
        _ if begins(&NETWORKS) => Some("dense"),
        _ => None,
    }
}

/// The text of a glob before its first free letter, and whether anything follows.
fn literal(selector: &str) -> (&str, bool) {
    let end = selector.find(['*', '?']).unwrap_or(selector.len());
    (&selector[..end], end < selector.len())
}

fn is_glob(selector: &str) -> bool {
    !matches!(selector, "all" | "embedding" | "dense")
}

impl Item<'_> {
    fn holds(&self, other: &Self) -> bool {
        let bits = self.bits.is_empty() || self.bits == other.bits;
        let selector = match (self.selector, other.selector) {
            ("all", _) => true,
            (a, b) if a == b => true,
            ("embedding" | "dense", b) => component(b) == Some(self.selector),
            (a, b) if is_glob(a) && is_glob(b) => {
                let (prefix, open) = literal(a);
                open && a.len() == prefix.len() + 1 && a.ends_with('*') && literal(b).0.starts_with(prefix)
            }
            _ => false,
        };
        bits && selector
    }

    fn is_apart_from(&self, other: &Self) -> bool {
        const FIELDS: [&str; 3] = ["sign", "exponent", "mantissa"];
        if self.bits != other.bits && FIELDS.contains(&self.bits) && FIELDS.contains(&other.bits) {
            return true;
        }
        if let (Some(a), Some(b)) = (component(self.selector), component(other.selector))
            && a != b
        {
            return true;
        }
        if !is_glob(self.selector) || !is_glob(other.selector) {
            return false;
        }
        let ((a, open_a), (b, open_b)) = (literal(self.selector), literal(other.selector));
        // Names that differ within what both spell out can't be the same.
        match (open_a, open_b) {
            (false, false) => a != b,
            (true, true) => !a.starts_with(b) && !b.starts_with(a),
            (true, false) => !b.starts_with(a),
            (false, true) => !a.starts_with(b),
        }
    }
}

/// Whether every bit of `inner` is among those of `outer`, as far as names tell.
pub(crate) fn holds(outer: &str, inner: &str) -> bool {
    items(inner).all(|one| items(outer).any(|other| other.holds(&one)))
}

/// Whether two targets are known to share no bit.
pub(crate) fn are_rivals(a: &str, b: &str) -> bool {
    items(a).all(|one| items(b).all(|other| one.is_apart_from(&other)))
}

/// The targets that lie inside no other one but the whole model, of which each pair may be compared.
pub(crate) fn outermost<'a>(targets: &[&'a str]) -> Vec<&'a str> {
    let inside = |target: &str| {
        targets.iter().any(|other| *other != "all" && *other != target && holds(other, target))
    };
    targets.iter().copied().filter(|target| *target != "all" && !inside(target)).collect()
}

/// A target as a place where errors are: "anywhere in the model".
pub(crate) fn place(target: &str) -> String {
    match target {
        "all" => "anywhere in the model".to_owned(),
        "embedding" => "in the embedding tables".to_owned(),
        "dense" => "in the dense layers".to_owned(),
        other => format!("in {other}"),
    }
}

/// The same as a thing that breaks.
pub(crate) fn thing(target: &str) -> String {
    match target {
        "embedding" => "the embedding tables".to_owned(),
        "dense" => "the dense layers".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_inside_another_is_no_rival() {
        for (outer, inner) in [
            ("all", "mlp.*"),
            ("dense", "mlp.mlp.0.weight"),
            ("embedding", "embedding.embedding.weight@30"),
            ("mlp.*", "mlp.mlp.0.*"),
            ("dense", "dense@exponent"),
            ("embedding,mlp.*", "mlp.mlp.0.bias"),
        ] {
            assert!(holds(outer, inner) && !are_rivals(outer, inner), "{outer} {inner}");
            assert!(!holds(inner, outer), "{inner} {outer}");
        }
        for (a, b) in [
            ("embedding", "dense"),
            ("embedding", "mlp.*"),
            ("dense", "embedding.*"),
            ("mlp.mlp.0.*", "mlp.mlp.4.*"),
            ("a.weight", "a.bias"),
            ("all@exponent", "all@mantissa"),
        ] {
            assert!(are_rivals(a, b) && are_rivals(b, a), "{a} {b}");
        }
        // Names that may overlap, or say nothing.
        for (a, b) in [("*.weight", "mlp.*"), ("dense", "layers.0"), ("all", "dense"), ("a*", "ab")] {
            assert!(!are_rivals(a, b), "{a} {b}");
        }
        assert_eq!(outermost(&["all", "dense", "embedding", "mlp.*"]), ["dense", "embedding"]);
    }
}
