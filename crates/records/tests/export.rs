//! Csv and digest: what they hold, in which order, and what they do not depend on.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use std::fs;
use std::path::Path as FilePath;

use fixture::{cell, golden, header, trial};
use proptest::prelude::*;
use radhard_records::{Path, RecordsError, Store, Trial};

const CELLS: [(&str, &str, f64); 4] =
    [("fm", "all", 1e-4), ("fm", "all", 1e-9), ("fm", "dense", 5e-10), ("a,\"b\"", "all", 1e-3)];

/// Records of [`CELLS`] with eight chips each, cells and trials put in the order of `order`, one batch each.
fn filled(dir: &FilePath, order: &[usize], path: Path) -> Store {
    let mut store = Store::create_or_continue(dir, &header()).unwrap();
    for model in ["fm", "a,\"b\""] {
        store.put_golden(&golden(model, "none")).unwrap();
    }
    for index in order {
        let (model, target, ber) = CELLS[index % CELLS.len()];
        let id = store.put_cell(&cell(model, target, ber)).unwrap();
        let trial = trial((index / CELLS.len()) as u64);
        store.append(&[(id, Trial { path, seconds: *index as f64, ..trial })]).unwrap();
    }
    store
}

fn in_order() -> Vec<usize> {
    (0..32).collect()
}

#[test]
fn csv_has_the_columns_and_the_order_of_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let order: Vec<usize> = (0..32).rev().collect();
    let store = filled(dir.path(), &order, Path::Rows);
    let out = dir.path().join("csv");
    store.export_csv(&out).unwrap();
    let trials = fs::read_to_string(out.join("trials.csv")).unwrap();
    let lines: Vec<_> = trials.lines().collect();
    assert_eq!(
        lines[0],
        "model,data,target,error_model,ber,protection,seed,chip,flips,auc,auc_finite,auc_worst,log_loss,\
         non_finite,saturated,outcome,path,seconds"
    );
    assert_eq!(lines.len(), 33);
    assert_eq!(
        lines[1],
        "\"a,\"\"b\"\"\",ml,all,flips,0.001,none,18446744073709551609,0,0,0.8,0.8,0.26666666666666666,\
         0.30000000000000004,0,0,masked,rows,3.0"
    );
    let rates: Vec<_> = lines[1..].iter().step_by(8).map(|line| line.rsplit(',').nth(13).unwrap()).collect();
    assert_eq!(rates, ["0.001", "1e-9", "0.0001", "5e-10"]);
    let cells = fs::read_to_string(out.join("cells.csv")).unwrap();
    let lines: Vec<_> = cells.lines().collect();
    assert_eq!(
        lines[0],
        "model,data,target,error_model,ber,protection,seed,n,known,golden,mean,stratified_mean,sd,min,max,median,\
         quartile_1,quartile_3,ci_low,ci_high,ci_method,non_finite_share,collapse,flips_mean,exposed_bits,p_no_flip,\
         predicted,prediction,stand_in,median_ci_low,median_ci_high,loss_q95,loss_q95_ci_low,loss_q95_ci_high,bad_share,\
         bad_share_ci_low,bad_share_ci_high,severe_share,severe_share_ci_low,severe_share_ci_high,non_finite_ci_low,\
         non_finite_ci_high,collapse_ci_low,collapse_ci_high"
    );
    assert!(lines[1].starts_with("\"a,\"\"b\"\"\",ml,all,flips,0.001,none,18446744073709551609,8,3,0.8,0.7"));
    let (before, tail) =
        lines[1].split_once(",160000,3.257488532207521e-70,0.75,approximate,false,").unwrap();
    assert_eq!((before.split(',').count(), tail.split(',').count()), (25, 15), "{}", lines[1]);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
}

#[test]
fn an_export_that_fails_leaves_nothing_and_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &in_order(), Path::Rows);
    let out = dir.path().join("csv");
    fs::create_dir_all(out.join("trials.csv")).unwrap();
    let error = store.export_csv(&out).unwrap_err();
    assert!(matches!(error, RecordsError::Io { .. }), "{error}");
    assert!(error.to_string().contains("trials.csv: writing: "), "{error}");
    let left = fs::read_dir(&out).unwrap().count();
    assert_eq!(left, 2, "cells.csv and the directory in the way");
    assert!(store.export_csv(FilePath::new("/proc/radhard")).is_err());
}

#[test]
fn the_digest_does_not_see_path_time_version_and_plan_text() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let one = filled(dirs[0].path(), &in_order(), Path::Rows);
    let mut other_header = header();
    other_header.version = "9.9.9".into();
    other_header.plan.push_str("# a remark\n");
    Store::create_or_continue(dirs[1].path(), &other_header).unwrap().close().unwrap();
    let other = filled(dirs[1].path(), &in_order(), Path::Full);
    assert_eq!(one.digest().unwrap(), other.digest().unwrap());
    assert_eq!(one.digest().unwrap().len(), 64);
    assert_eq!(one.cell_records().unwrap(), other.cell_records().unwrap());
}

#[test]
fn the_digest_sees_every_score() {
    let mut digests = std::collections::BTreeSet::new();
    for change in 0..7 {
        let dir = tempfile::tempdir().unwrap();
        let mut store = filled(dir.path(), &in_order(), Path::Rows);
        let (id, _) = store.cells().next().unwrap();
        let mut trial = Trial { chip: 8, ..trial(1) };
        match change {
            1 => trial.scores.auc = trial.scores.auc.map(f64::next_up),
            2 => trial.scores.rmse_finite = None,
            3 => trial.scores.top_k_overlap = Some(0.5),
            4 => {
                trial.scores.sdc += 1;
                trial.scores.masked -= 1;
            }
            5 => trial.flips += 1,
            6 => trial.chip += 1,
            _ => {}
        }
        store.append(&[(id, trial)]).unwrap();
        digests.insert(store.digest().unwrap());
    }
    assert_eq!(digests.len(), 7);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_digest_does_not_depend_on_the_order_nor_on_interruptions(
        order in Just(in_order()).prop_shuffle(),
        stop in 0_usize..32,
    ) {
        let plain = tempfile::tempdir().unwrap();
        let expected = filled(plain.path(), &in_order(), Path::Rows).digest().unwrap();
        let dir = tempfile::tempdir().unwrap();
        drop(filled(dir.path(), &order[..stop], Path::Rows));
        prop_assert_eq!(filled(dir.path(), &order, Path::Rows).digest().unwrap(), expected);
    }
}
