//! The evidence kept in the repository is what its command writes.

use std::path::{Path, PathBuf};

use radhard_study::{Part, Scale, Silence, Study, reproduce};

/// Where the evidence of the quick reference run is kept.
fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/evidence/quick")
}

#[expect(clippy::unwrap_used, reason = "a helper of a test that fails with it")]
fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(kept())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name != "README.md")
        .collect();
    names.sort();
    names
}

#[test]
fn the_evidence_is_small_and_has_a_file_for_each_verdict_that_no_clock_decides() {
    let names = names();
    let bytes: u64 = names.iter().map(|name| kept().join(name).metadata().unwrap().len()).sum();
    assert!(bytes <= 1_000_000, "{bytes} bytes");
    let claims: serde_json::Value =
        serde_json::from_slice(&std::fs::read(kept().join("claims.json")).unwrap()).unwrap();
    let claims = claims.as_array().unwrap();
    assert_eq!(claims.len(), 30);
    for claim in claims {
        let file = format!("{}.csv", claim["id"].as_str().unwrap());
        assert!(names.contains(&file), "{file} is missing");
        let rows = std::fs::read_to_string(kept().join(&file)).unwrap().lines().count() - 1;
        let said = claim["parts"].as_array().unwrap().len() + claim["evidence"].as_array().unwrap().len();
        assert_eq!(rows, said, "{file} and claims.json differ");
    }
}

#[test]
#[ignore = "ten minutes on two cores: cargo nextest run -p radhard-study --run-ignored all evidence"]
fn the_quick_study_writes_the_evidence_that_is_kept() {
    let out = tempfile::tempdir().unwrap();
    let study = Study { real: None, out: out.path(), scale: Scale::quick() };
    assert!(reproduce(&study, Part::All, &Silence).unwrap().is_some());
    for name in names() {
        let (here, there) = (out.path().join("paper").join(&name), kept().join(&name));
        assert!(std::fs::read(here).unwrap() == std::fs::read(there).unwrap(), "{name} differs");
    }
}
