//! Faults in what layers compute.

use radhard_fault::{
    BitErrorRate, Chip, DrawError, DrawnMap, ErrorModel, Exposure, Output, Parameters as _, Target,
    TargetError,
};
use radhard_models::Upsets;

use crate::lend::{self, LentModel};

/// How often a result is computed at most: once, and as often again as protections do.
const ATTEMPTS: u32 = 3;

/// The layers' results that a target exposes, for each time that they may be computed.
#[derive(Debug, Clone)]
pub struct Computed {
    /// Layer and width of each output.
    layers: Vec<(usize, usize)>,
    attempts: Vec<Exposure>,
}

impl Computed {
    /// What a target exposes of what a model computes of so many rows.
    ///
    /// # Errors
    /// If the target matches no layer.
    pub fn of(lent: &LentModel, target: &Target, rows: usize) -> Result<Self, TargetError> {
        let sites = lent.model().outputs();
        let name = |&place: &usize| lent.specs()[place].name.clone();
        let exposure = |attempt| {
            let output = |site: &radhard_models::OutputSite| Output {
                name: match attempt {
                    0 => format!("output {}", site.layer),
                    attempt => format!("output {}#{attempt}", site.layer),
                },
                width: site.width,
                parameters: site.parameters.iter().map(name).collect(),
                component: lend::component(site.component),
            };
            target.resolve_outputs(&sites.iter().map(output).collect::<Vec<_>>(), rows as u64)
        };
        Ok(Self {
            layers: sites.iter().map(|site| (site.layer, site.width)).collect(),
            attempts: (0..ATTEMPTS).map(exposure).collect::<Result<_, _>>()?,
        })
    }

    /// What is exposed when all is computed once.
    pub fn exposure(&self) -> &Exposure {
        &self.attempts[0]
    }
}

/// What a chip does to results as they are computed.
///
/// Memory: 12 bytes for each result that is hit.
#[derive(Debug, Default)]
pub struct Transients {
    /// By attempt and layer.
    attempts: Vec<Vec<Hits>>,
    flips: u64,
    results: usize,
}

/// The results of one layer that are hit.
#[derive(Debug, Default)]
struct Hits {
    width: u64,
    /// Row · width + element, ascending.
    places: Vec<u64>,
    bits: Vec<u32>,
}

impl Transients {
    /// Draws a chip; what happens to results that are computed again only where `again` is set, and only if the error model takes a
    /// rate: others say how many bits flip in all.
    ///
    /// # Errors
    /// If the error model can't be drawn on what is exposed.
    ///
    /// # Panics
    /// If the error model does more than flip bits.
    pub fn draw(
        error_model: &dyn ErrorModel,
        (chip, rate): (Chip, Option<BitErrorRate>),
        computed: &Computed,
        again: bool,
        drawn: &mut DrawnMap,
    ) -> Result<Self, DrawError> {
        assert!(error_model.flips_only(), "{} needs to know what is stored", error_model.name());
        let layers = computed.layers.iter().map(|(layer, _)| layer + 1).max().unwrap_or(0);
        let mut all = Self::default();
        let attempts = if again && error_model.takes_rate() { ATTEMPTS as usize } else { 1 };
        for exposure in &computed.attempts[..attempts] {
            error_model.draw(chip, exposure, rate, drawn)?;
            let mut hits: Vec<Hits> = Vec::new();
            hits.resize_with(layers, Hits::default);
            for parameter in drawn.parameters() {
                let (layer, width) = computed.layers[parameter.index()];
                hits[layer] = Hits {
                    width: width as u64,
                    places: parameter.elements().to_vec(),
                    bits: parameter.flips().iter().map(|&bits| bits as u32).collect(),
                };
            }
            all.attempts.push(hits);
        }
        let first = || all.attempts[0].iter();
        all.flips = first().flat_map(|hits| &hits.bits).map(|bits| u64::from(bits.count_ones())).sum();
        all.results = first().map(|hits| hits.places.len()).sum();
        Ok(all)
    }

    /// Bits that flip when all is computed once.
    pub fn flips(&self) -> u64 {
        self.flips
    }

    /// Whether nothing is hit when all is computed once.
    pub fn is_empty(&self) -> bool {
        self.results == 0
    }

    /// Lists the data rows that are hit when all is computed once, ascending; false where they are surely more than `most`.
    pub(crate) fn rows(&self, most: usize, out: &mut Vec<u32>) -> bool {
        out.clear();
        let widest = self.attempts.first().into_iter().flatten().map(|hits| hits.width).sum::<u64>();
        if self.results as u64 > widest.saturating_mul(most as u64) {
            return false;
        }
        for hits in self.attempts.first().into_iter().flatten() {
            let mut last = None;
            for place in &hits.places {
                let row = (place / hits.width) as u32;
                if last != Some(row) {
                    last = Some(row);
                    out.push(row);
                }
            }
        }
        out.sort_unstable();
        out.dedup();
        out.len() <= most
    }

    /// Data rows that are hit when all is computed once.
    pub fn count_rows(&self) -> u64 {
        let mut rows = Vec::new();
        self.rows(u32::MAX as usize, &mut rows);
        rows.len() as u64
    }
}

impl Upsets for Transients {
    fn acts(&self, layer: usize) -> bool {
        let hit = |hits: &Vec<Hits>| hits.get(layer).is_some_and(|hits| !hits.places.is_empty());
        self.attempts.iter().any(hit)
    }

    fn each(&self, layer: usize, attempt: u32, rows: &[u32], flip: &mut dyn FnMut(usize, usize, u32)) {
        let Some(hits) = self.attempts.get(attempt as usize).and_then(|layers| layers.get(layer)) else {
            return;
        };
        let mut at = 0;
        for (place, &row) in rows.iter().enumerate() {
            let first = u64::from(row) * hits.width;
            // Rows mostly ascend, one after the other.
            if at > 0 && hits.places[at - 1] >= first {
                at = 0;
            }
            if hits.places.get(at).is_some_and(|&place| place < first) {
                at += hits.places[at..].partition_point(|&place| place < first);
            }
            while let Some(&hit) = hits.places.get(at).filter(|&&hit| hit < first + hits.width) {
                flip(place, (hit - first) as usize, hits.bits[at]);
                at += 1;
            }
        }
    }
}
