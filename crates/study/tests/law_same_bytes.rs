//! The same study in two directories leaves the same files, also where one of them was interrupted again and again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use radhard_campaign::Watch;
use radhard_study::{
    Audience, Part, Reproduced, Scale, Silence, Study, StudyError, reproduce, reproduce_as_artefact,
};

/// A study of seconds: few rows, chips and dummy models.
fn scale() -> Scale {
    Scale {
        rows: [Some(4_000), Some(1), Some(1)],
        epochs: [1, 1, 1],
        dummy_widths: &[64],
        dummy_rows: 200,
        ..Scale::quick().with_chips(3)
    }
}

/// Stops at every so many questions whether to.
struct Impatient {
    asked: AtomicU64,
    patience: u64,
}

impl Watch for Impatient {
    fn stop(&self) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed) % self.patience == self.patience - 1
    }
}

impl Audience for Impatient {}

type Make = fn(&Study<'_>, &dyn Audience) -> Result<Option<Reproduced>, StudyError>;

#[expect(clippy::unwrap_used, reason = "a helper of a test that fails with it")]
/// The files of figures and tables, with their bytes.
fn files(out: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(out.join("paper"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap())
        })
        .collect()
}

#[expect(clippy::unwrap_used, reason = "a helper of a test that fails with it")]
/// Makes it at one go, and again with interruptions; how often it was interrupted.
fn made_twice(make: Make) -> (BTreeMap<String, Vec<u8>>, u32) {
    let real = tempfile::tempdir().unwrap();
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let study = |out| Study { real: Some(real.path()), out, scale: scale() };
    assert!(make(&study(first.path()), &Silence).unwrap().is_some());
    let (mut interrupted, mut patience) = (0, 3);
    loop {
        let audience = Impatient { asked: AtomicU64::new(0), patience };
        if make(&study(second.path()), &audience).unwrap().is_some() {
            break;
        }
        interrupted += 1;
        // Ever more patient: some stages begin anew when they are stopped.
        patience = patience * 3 / 2;
    }
    let (first, second) = (files(first.path()), files(second.path()));
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (name, bytes) in &first {
        assert!(bytes == &second[name], "{name} differs");
    }
    (first, interrupted)
}

#[test]
fn dummy_figures_are_the_same_after_interruptions() {
    let (files, interrupted) = made_twice(|study, audience| reproduce(study, Part::Fig5, audience));
    assert!(files.contains_key("fig5.svg") && files.contains_key("fig5.csv"), "{:?}", files.keys());
    assert!(interrupted > 1, "interrupted {interrupted} times");
}

#[test]
fn the_artefact_s_ways_are_the_same_after_interruptions() {
    let (files, interrupted) =
        made_twice(|study, audience| reproduce_as_artefact(study, Part::All, audience));
    for way in radhard_study::artefact::WAYS {
        let picture = &files[&format!("as-artefact-{}.svg", way.name)];
        let text = String::from_utf8_lossy(picture);
        assert!(text.contains("as-artefact: "), "{} is not marked", way.name);
    }
    assert!(interrupted > 1, "interrupted {interrupted} times");
}

#[test]
fn a_directory_of_another_scale_is_refused() {
    let out = tempfile::tempdir().unwrap();
    let of = |scale| {
        let study = Study { real: None, out: out.path(), scale };
        reproduce(&study, Part::Table1, &Silence)
    };
    assert!(of(scale()).unwrap().is_some());
    assert!(of(scale().with_chips(5)).unwrap().is_some());
    let refused = of(Scale::full()).unwrap_err();
    assert!(matches!(refused, StudyError::OtherScale { .. }));
    assert!(refused.to_string().contains("quick (rows 4000, 1, 1;"), "{refused}");
}
