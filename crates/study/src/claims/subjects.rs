//! Claims about the models themselves: table 2.

use crate::claim::{Claim, Evidence, Verdict};
use crate::training::Trained;

/// Parameters in the paper's table 2, as counted from the definitions; fm and deepfm of MovieLens-1M are exchanged in print.
const COUNTS: [(&str, &str, u64); 14] = [
    ("fm", "movielens-1m", 169_865),
    ("deepfm", "movielens-1m", 170_746),
    ("wide-deep", "movielens-1m", 170_746),
    ("afm", "movielens-1m", 170_171),
    ("dcn", "movielens-1m", 160_977),
    ("fm", "movielens-20m", 4_585_836),
    ("fm", "criteo", 18_475_771),
    ("deepfm", "criteo", 18_486_124),
    ("wide-deep", "criteo", 18_486_124),
    ("dcn", "criteo", 17_403_681),
    ("deepfm", "movielens-20m", 4_586_717),
    ("wide-deep", "movielens-20m", 4_586_717),
    ("afm", "movielens-20m", 4_586_142),
    ("afm", "criteo", 18_476_077),
];

/// AUC in the paper's table 2, on its own splits.
pub(crate) const PAPER_AUC: [(&str, &str, f64); 15] = [
    ("fm", "movielens-1m", 0.813),
    ("deepfm", "movielens-1m", 0.842),
    ("afm", "movielens-1m", 0.862),
    ("dcn", "movielens-1m", 0.824),
    ("wide-deep", "movielens-1m", 0.828),
    ("fm", "movielens-20m", 0.838),
    ("deepfm", "movielens-20m", 0.838),
    ("afm", "movielens-20m", 0.827),
    ("dcn", "movielens-20m", 0.818),
    ("wide-deep", "movielens-20m", 0.815),
    ("fm", "criteo", 0.779),
    ("deepfm", "criteo", 0.785),
    ("afm", "criteo", 0.801),
    ("dcn", "criteo", 0.799),
    ("wide-deep", "criteo", 0.791),
];

/// Parameter counts and fault-free AUC.
pub(super) fn c14(trained: &[Trained]) -> Claim {
    let mut evidence = Vec::new();
    let (mut counts, mut same) = (0, 0);
    for one in trained {
        if let Some((.., count)) = COUNTS.iter().find(|(m, s, _)| (*m, *s) == (one.model, one.set)) {
            counts += 1;
            same += u32::from(*count == one.parameters);
        }
        let of = format!("{} on {}{}", one.model, one.set, if one.stand_in { " (stand-in)" } else { "" });
        let value = Some(one.parameters as f64);
        evidence.push(Evidence {
            of: of.clone(),
            quantity: "parameters",
            value,
            low: None,
            high: None,
            n: 1,
        });
        evidence.push(Evidence {
            of,
            quantity: "test AUC",
            value: one.test_auc,
            low: None,
            high: None,
            n: 1,
        });
    }
    let real: Vec<&Trained> = trained.iter().filter(|one| !one.stand_in).collect();
    let near = real.iter().filter(|one| {
        let paper = PAPER_AUC.iter().find(|(m, s, _)| (*m, *s) == (one.model, one.set));
        one.test_auc.zip(paper).is_some_and(|(auc, (.., paper))| (auc - paper).abs() <= 0.01)
    });
    let near = near.count();
    let verdict = if counts == 0 {
        Verdict::Open
    } else if same < counts || near < real.len() {
        Verdict::Refuted
    } else if real.is_empty() {
        Verdict::Undecided
    } else {
        Verdict::Holds
    };
    let auc = if real.is_empty() {
        "AUC is open: the data are stand-ins, whose AUC says nothing of the real sets".to_owned()
    } else {
        format!("AUC is within .01 of the paper's for {near} of {} models on real data", real.len())
    };
    Claim {
        id: "C14",
        section: "table 2",
        says: "parameter counts and fault-free AUC of the five models",
        criterion: "counts exactly (fm and deepfm of MovieLens-1M are exchanged in print); AUC within .01 on a clean split",
        verdict,
        why: format!("{same} of {counts} counts are exact; {auc}"),
        evidence,
    }
}
