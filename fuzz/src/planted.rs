//! A panic that is planted on purpose, to show that a search finds what is there.

use radhard_fault::Target;

/// Panics on a target of three items, one of which selects bits 17 to 23: no seed does, and each part of it opens another
/// path of the parser, so that a search which follows coverage arrives and one that guesses does not.
pub(crate) fn planted(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(target) = text.parse::<Target>() else { return };
    let printed = target.to_string();
    let mut items = printed.split(',');
    let hit = items.clone().count() == 3 && items.any(|item| item.ends_with("@17-23"));
    assert!(!hit, "the planted panic is found: {printed}");
}
