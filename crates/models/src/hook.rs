//! Hooks: what a caller may do to values between layers.

use std::sync::atomic::{AtomicU64, Ordering};

use radhard_data::RowsView;
use radhard_kernels::Kernels;
use rayon::prelude::*;

use crate::model::Model;
use crate::parameter::Component;
use crate::pass::{Pass, Workspace};
use crate::scores::{BLOCK, Scores, ScoresError, canonical, check};

/// A place between layers where a hook can act: behind one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSite {
    /// The layer's number in the order of evaluation.
    pub layer: usize,
    /// The prefix of the layer's parameters; of a layer without any, that of the layer before it and what it is.
    pub name: String,
    /// What the layer is.
    pub kind: SiteKind,
    /// Values per row.
    pub width: usize,
}

/// What a layer is to a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteKind {
    /// A linear layer with more than one output.
    Linear,
    /// The activation behind a linear layer or its batch norm.
    Activation,
    /// Anything else.
    Other,
}

/// What a caller does to values between layers.
///
/// What it makes of a row's values must depend on these values alone, not on the block.
pub trait Hooks: Sync {
    /// Whether it acts behind this layer.
    fn acts(&self, layer: usize) -> bool;

    /// Rewrites the values behind a layer: `[width, BLOCK]`, of which the first `rows` of each feature are rows, the rest padding.
    /// Gives how many values of rows it found bad.
    fn after(&self, layer: usize, rows: usize, values: &mut [f32]) -> u64;
}

impl Model {
    /// Where hooks can act, in the order of evaluation.
    pub fn sites(&self) -> Vec<HookSite> {
        let graph = self.graph();
        let mut sites: Vec<HookSite> = Vec::new();
        let mut written: Vec<Option<usize>> = vec![None; graph.widths().len()];
        let mut norms = vec![false; graph.layers().len()];
        for (layer, tied) in graph.layers().iter().enumerate() {
            let ties = tied.ties();
            let Some(&result) = ties.writes.last() else { continue };
            let width = graph.widths()[result];
            let specs: Vec<_> = ties.parameters.iter().map(|(id, _)| &graph.specs()[*id]).collect();
            let before = match ties.reads[..] {
                [read] if graph.widths()[read] == width => written[read],
                _ => None,
            };
            let weight = specs.first().filter(|spec| spec.component == Component::Dense);
            let matrix = weight.is_some_and(|spec| spec.shape.len() == 2 && spec.shape[0] == width);
            norms[layer] =
                before.is_some() && specs.len() == 4 && specs.iter().all(|spec| spec.shape == [width]);
            let kind = if matrix && specs.len() <= 2 && width > 1 {
                SiteKind::Linear
            } else if specs.is_empty()
                && before.is_some_and(|before| norms[before] || sites[before].kind == SiteKind::Linear)
            {
                SiteKind::Activation
            } else {
                SiteKind::Other
            };
            let name = match (weight, before) {
                (Some(spec), _) => spec.name.rsplit_once('.').map_or("", |(prefix, _)| prefix).to_owned(),
                (None, Some(before)) if kind == SiteKind::Activation => {
                    format!("{} activation", sites[before].name)
                }
                _ => format!("layer {layer}"),
            };
            sites.push(HookSite { layer, name, kind, width });
            written[result] = Some(layer);
        }
        sites
    }

    /// Evaluates rows as [`scores`](Self::scores) does, with hooks between layers; gives how many values they found bad.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    pub fn scores_hooked(
        &self,
        rows: &RowsView<'_>,
        hooks: &dyn Hooks,
        out: &mut Scores,
    ) -> Result<u64, ScoresError> {
        check(rows, self.config())?;
        let graph = self.graph();
        let pass = Pass::new(graph, self.parameters(), Kernels::detected());
        let results: Vec<_> =
            graph.layers().iter().map(|layer| layer.ties().writes.last().copied()).collect();
        out.logits.resize(rows.len(), 0.0);
        out.probabilities.resize(rows.len(), 0.0);
        let bad = AtomicU64::new(0);
        out.logits
            .par_chunks_mut(BLOCK)
            .zip(out.probabilities.par_chunks_mut(BLOCK))
            .enumerate()
            .for_each_init(
                || Workspace::new(graph, BLOCK),
                |workspace, (block, (logits, probabilities))| {
                    let first = block * BLOCK;
                    let rows = rows.slice(first..first + logits.len());
                    pass.begin(&rows, workspace);
                    let mut found = 0;
                    for (layer, result) in results.iter().enumerate() {
                        pass.layer(layer, &rows, workspace);
                        if let Some(slot) = result.filter(|_| hooks.acts(layer)) {
                            let values = workspace.values.get_mut(slot).as_flattened_mut();
                            found += hooks.after(layer, rows.len(), values);
                        }
                    }
                    if found > 0 {
                        bad.fetch_add(found, Ordering::Relaxed);
                    }
                    pass.end(workspace, logits);
                    pass.answers(logits, probabilities);
                    canonical(logits, probabilities);
                },
            );
        Ok(bad.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::model::Init;

    fn sites(name: &str, kind: SiteKind) -> Vec<String> {
        let model = Model::new(&Config::new(name, vec![5, 4]), Init::TorchFm, 1).unwrap();
        let all = model.sites();
        assert!(all.iter().enumerate().all(|(layer, site)| site.layer == layer));
        all.into_iter().filter(|site| site.kind == kind).map(|site| site.name).collect()
    }

    #[test]
    fn linear_layers_and_activations_are_those_of_the_literature() {
        for name in ["deepfm", "wide-deep", "dcn"] {
            assert_eq!(sites(name, SiteKind::Linear), ["mlp.mlp.0", "mlp.mlp.4"], "{name}");
            let activations = ["mlp.mlp.1 activation", "mlp.mlp.5 activation"];
            assert_eq!(sites(name, SiteKind::Activation), activations, "{name}");
        }
        for name in ["fm", "afm"] {
            assert!(sites(name, SiteKind::Linear).is_empty(), "{name}");
            assert!(sites(name, SiteKind::Activation).is_empty(), "{name}");
        }
    }

    struct Nothing;

    impl Hooks for Nothing {
        fn acts(&self, _layer: usize) -> bool {
            true
        }

        fn after(&self, _layer: usize, rows: usize, values: &mut [f32]) -> u64 {
            assert!(rows <= BLOCK && values.len() % BLOCK == 0);
            0
        }
    }

    #[test]
    fn a_hook_that_does_nothing_changes_nothing() {
        for name in ["fm", "deepfm", "wide-deep", "dcn", "afm"] {
            let model = Model::new(&Config::new(name, vec![50, 40]), Init::TorchFm, 1).unwrap();
            let indices: Vec<u32> = (0..600).map(|i| i * 7 % 40).collect();
            let labels = vec![0; 300];
            let rows = RowsView {
                fields: 2,
                numeric_width: 0,
                indices: &indices,
                numeric: &[],
                labels: &labels,
                bags: None,
            };
            let (mut plain, mut hooked) = (Scores::default(), Scores::default());
            model.scores(&rows, &mut plain).unwrap();
            assert_eq!(model.scores_hooked(&rows, &Nothing, &mut hooked).unwrap(), 0);
            assert!(plain.same_bits(&hooked), "{name}");
        }
    }
}
