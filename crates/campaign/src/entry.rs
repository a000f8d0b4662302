//! What a campaign writes of itself: header, golden runs, cells.

use std::collections::{BTreeMap, BTreeSet};

use radhard_fault::{Persistence, StoredBits};
use radhard_records::{Cell, CellKey, Difference, Golden, Header, RecordsError, Store, metric};

use crate::cells::PlannedCell;
use crate::guard::Guard;
use crate::lend::LentModel;
use crate::named;
use crate::plan::CheckedPlan;
use crate::prediction::Predictor;
use crate::subject::{GoldenRun, Subject, SubjectError};

/// Cells outside the plan that a refusal names.
const NAMED_CELLS: usize = 5;

/// The header, with the keys whose values decide what a trial is; the plan has so many cells.
pub(crate) fn header(plan: &CheckedPlan, subjects: &[Subject], cells: u64) -> Header {
    let mut identity = BTreeMap::from([
        ("split".to_owned(), plan.split().to_string()),
        ("non_finite".to_owned(), plan.non_finite().to_string()),
        ("expose".to_owned(), plan.expose().to_string()),
    ]);
    for subject in subjects {
        identity.insert(format!("model {}", subject.model_name), subject.model_fingerprint.clone());
        identity.insert(format!("data {}", subject.data_name), subject.data.fingerprint.clone());
    }
    if !plan.metrics().is_empty() {
        let listed = metric::listed(plan.metrics().iter().map(String::as_str));
        identity.insert(metric::IDENTITY.to_owned(), listed);
    }
    Header {
        plan: plan.text().to_owned(),
        identity,
        seed: plan.plan().seed,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        stream_version: radhard_fault::STREAM_VERSION,
        numeric_contract: radhard_kernels::NUMERIC_CONTRACT,
        trials_planned: Some(cells * plan.plan().chips),
    }
}

/// A subject's golden run.
pub(crate) fn golden(
    plan: &CheckedPlan,
    subject: &Subject,
    run: &GoldenRun,
    protection: &str,
) -> Result<Golden, SubjectError> {
    let labels = subject.rows.labels();
    Ok(Golden {
        subject: subject.key(protection),
        scores: run.metrics.clone(),
        positives: labels.iter().filter(|&&label| label != 0).count() as u64,
        split: plan.split().to_string(),
        stand_in: subject.data.stand_in,
        parameters: subject.lent.model().parameters().trained() as u64,
        model_fingerprint: subject.model_fingerprint.clone(),
        data_fingerprint: subject.data.fingerprint.clone(),
        seconds: run.seconds,
        baseline: subject.baseline()?,
        auc_ci: run.auc_ci,
        metrics: named::of(plan.metrics(), &run.scores, labels, &subject.options()),
    })
}

/// A cell and what is known of it before any trial.
pub(crate) fn cell(
    plan: &CheckedPlan,
    lent: &LentModel,
    cell: &PlannedCell<'_>,
    guard: &Guard,
    predictor: Option<&Predictor>,
) -> Cell {
    let exposure = guard.exposed(cell.exposure);
    // Theory knows what flips in the model's words do, not what a protection makes of them.
    let predictor = predictor.filter(|_| {
        !guard.protected.reads() && guard.own.is_none() && plan.persistence() == Persistence::Memory
    });
    Cell {
        key: cell.key.clone(),
        seed: plan.plan().seed,
        exposed_bits: exposure.bits(),
        p_no_flip: p_no_flip(cell, guard, lent),
        predicted: predictor.and_then(|predictor| predictor.predict(cell, exposure, lent)),
    }
}

/// The exact probability that a chip of this cell changes nothing; bits are counted only where the law asks for it.
fn p_no_flip(cell: &PlannedCell<'_>, guard: &Guard, lent: &LentModel) -> Option<f64> {
    if !guard.computed.is_empty() {
        return cell.error_model.p_no_flip(guard.exposed(cell.exposure), cell.rate, None);
    }
    let exposure = &guard.exposures[cell.exposure];
    let of = |stored: Option<&StoredBits>| cell.error_model.p_no_flip(exposure.memory(), cell.rate, stored);
    of(None).or_else(|| of(guard.protected.stored_bits(exposure, lent).ok().as_ref()))
}

/// A plan may grow but not shrink: every cell and chip on record has to be one of the plan's.
pub(crate) fn refuse_cells_outside(
    plan: &CheckedPlan,
    store: &Store,
    planned: &[Vec<PlannedCell<'_>>],
) -> Result<(), RecordsError> {
    let keys: BTreeSet<&CellKey> = planned.iter().flatten().map(|cell| &cell.key).collect();
    let mut differences = Vec::new();
    let mut chips = 0;
    for (id, cell) in store.cells() {
        if keys.contains(&cell.key) {
            chips = chips.max(store.chips_done(id)?.last().map_or(0, |last| last + 1));
        } else {
            differences.push(Difference {
                key: "cell".into(),
                recorded: cell.key.to_string(),
                requested: "none".into(),
            });
        }
    }
    if differences.len() > NAMED_CELLS {
        let more = differences.len() - NAMED_CELLS;
        differences.truncate(NAMED_CELLS);
        let recorded = format!("{more} more cells");
        differences.push(Difference { key: "cells".into(), recorded, requested: "none".into() });
    }
    if chips > plan.plan().chips {
        let (recorded, requested) = (chips.to_string(), plan.plan().chips.to_string());
        differences.push(Difference { key: "chips".into(), recorded, requested });
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(RecordsError::OtherPlan { path: store.file().to_path_buf(), differences })
    }
}
