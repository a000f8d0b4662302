//! Protections one after another, as a cell has them, and what they make of a chip together.

use std::collections::BTreeMap;

use radhard_fault::{
    DrawnMap, DrawnParameter, Effect, Exposure, Format, InjectError, ParameterSpec, Parameters, StoredBits,
    TargetError,
};

use radhard_kernels::{Bounds, Lane};
use radhard_models::{Checksum, HookCall, HookEvents, Hooks, LookupResult, LookupSite, Model};

use crate::protection::{
    Cost, Events, Kept, LayerBounds, Prepared, ProtectError, Protection, SliceReader, Subject, Touched,
};
use crate::stored::GatherHooks;

/// The name of a cell that nothing protects.
pub const NONE: &str = "none";

/// Protections in the order in which they act on what is read; empty for the unprotected model.
pub struct Combination {
    stages: Vec<Box<dyn Protection>>,
}

impl Combination {
    /// These, from left to right.
    pub fn new(stages: Vec<Box<dyn Protection>>) -> Self {
        Self { stages }
    }

    /// Canonical name: those of the stages with `+` between them, or `none`.
    pub fn name(&self) -> String {
        if self.is_none() {
            return NONE.to_owned();
        }
        self.stages.iter().map(|stage| stage.name()).collect::<Vec<_>>().join("+")
    }

    /// Whether nothing protects.
    pub fn is_none(&self) -> bool {
        self.stages.is_empty()
    }

    /// Whether words are stored otherwise than in the unprotected model.
    pub fn rewrites(&self) -> bool {
        self.stages.iter().any(|stage| stage.rewrites())
    }

    /// Whether bounds are taken from clean rows.
    pub fn calibrates(&self) -> bool {
        self.stages.iter().any(|stage| stage.calibrates())
    }

    /// The same with bounds that were taken before, for every stage that would take them from clean rows.
    ///
    /// Errors: the name of the first such stage without bounds.
    pub fn with_bounds(self, bounds: &StageBounds) -> Result<Self, String> {
        let of = |stage: Box<dyn Protection>| {
            if !stage.calibrates() {
                return Ok(stage);
            }
            let given = bounds.get(&stage.name()).and_then(|bounds| stage.with_bounds(bounds));
            given.ok_or_else(|| stage.name())
        };
        Ok(Self { stages: self.stages.into_iter().map(of).collect::<Result<_, _>>()? })
    }

    /// Brings words into the form in which they are stored.
    pub fn rewrite(&self, parameters: &mut dyn Parameters) {
        self.stages.iter().for_each(|stage| stage.rewrite(parameters));
    }

    /// Prepares every stage for a subject whose words are in the form in which they are stored.
    pub fn prepare(&self, subject: &Subject<'_>) -> Result<Protected, ProtectError> {
        let stages: Vec<_> =
            self.stages.iter().map(|stage| stage.prepare(subject)).collect::<Result<_, _>>()?;
        Protected::new(self.name(), stages, subject.parameters.specs())
    }
}

/// Bounds that stages took from clean rows, by the name of the stage.
pub type StageBounds = BTreeMap<String, LayerBounds>;

/// The protections of one model.
pub struct Protected {
    name: String,
    stages: Vec<Box<dyn Prepared>>,
    specs: Vec<ParameterSpec>,
    /// What all stages keep, with the stage.
    kept: Vec<(usize, Kept)>,
    shields: Vec<u64>,
}

/// The hooks of all stages, one after another.
impl Hooks for Protected {
    fn acts(&self, layer: usize) -> bool {
        self.stages.iter().filter_map(|stage| stage.hooks()).any(|hooks| hooks.acts(layer))
    }

    fn needs_input(&self, layer: usize) -> bool {
        let mut hooks = self.stages.iter().filter_map(|stage| stage.hooks());
        hooks.any(|hooks| hooks.needs_input(layer))
    }

    fn vouches(&self, layer: usize, words: &[f32]) -> bool {
        self.acting(layer).all(|hooks| hooks.vouches(layer, words))
    }

    fn bounds(&self, layer: usize) -> Option<Bounds> {
        self.alone(layer)?.bounds(layer)
    }

    fn checksum(&self, layer: usize) -> Option<Checksum<'_>> {
        self.alone(layer)?.checksum(layer)
    }

    fn acts_inside(&self, layer: usize) -> bool {
        self.stages.iter().filter_map(|stage| stage.hooks()).any(|hooks| hooks.acts_inside(layer))
    }

    fn inside(&self, call: &HookCall<'_>, product: usize, results: &mut [Lane]) -> HookEvents {
        let mut events = HookEvents::default();
        let hooks = self.stages.iter().filter_map(|stage| stage.hooks());
        for hooks in hooks.filter(|hooks| hooks.acts_inside(call.layer)) {
            events.add(hooks.inside(call, product, results));
        }
        events
    }

    fn clean_bytes(&self, layer: usize) -> u64 {
        self.stages.iter().filter_map(|stage| stage.hooks()).map(|hooks| hooks.clean_bytes(layer)).sum()
    }

    fn behind(&self, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        let mut events = HookEvents::default();
        for hooks in self.acting(call.layer) {
            events.add(hooks.behind(call, values));
        }
        events
    }
}

impl Protected {
    /// The hooks of the stages that act behind a layer, in order.
    fn acting(&self, layer: usize) -> impl Iterator<Item = &dyn Hooks> {
        self.stages.iter().filter_map(|stage| stage.hooks()).filter(move |hooks| hooks.acts(layer))
    }

    /// The same where it is one.
    fn alone(&self, layer: usize) -> Option<&dyn Hooks> {
        let mut acting = self.acting(layer);
        acting.next().filter(|_| acting.next().is_none())
    }
}

/// What a target exposes in protected memory.
pub struct ProtectedExposure {
    /// What the target exposes in the model itself.
    target: Exposure,
    /// That without shielded bits, with what is kept.
    memory: Exposure,
    /// Which of all that is kept it holds, in the order in which it lies behind the model's parameters.
    kept: Vec<usize>,
}

/// Buffers of [`Protected::read`], used again from chip to chip.
#[derive(Default)]
pub struct ReadWork {
    words: Vec<(u64, u64)>,
    next: Vec<(u64, u64)>,
    kept: Vec<Vec<(u64, Effect)>>,
}

impl ProtectedExposure {
    /// What errors are drawn on.
    pub fn memory(&self) -> &Exposure {
        &self.memory
    }

    /// What the target exposes in the model itself.
    pub fn target(&self) -> &Exposure {
        &self.target
    }
}

impl Protected {
    fn new(
        name: String,
        stages: Vec<Box<dyn Prepared>>,
        specs: &[ParameterSpec],
    ) -> Result<Self, ProtectError> {
        let mut kept: Vec<(usize, Kept)> = Vec::new();
        for (stage, prepared) in stages.iter().enumerate() {
            for of in prepared.kept() {
                if kept.iter().any(|(_, known)| known.spec.name == of.spec.name) {
                    let reason = format!("two of its parts keep words under the name \"{}\"", of.spec.name);
                    return Err(ProtectError::Clash { protection: name, reason });
                }
                kept.push((stage, of.clone()));
            }
        }
        for (index, spec) in specs.iter().enumerate() {
            let mut owned = 0;
            for stage in &stages {
                let twice = owned & stage.owns(index);
                if twice != 0 {
                    let reason =
                        format!("two of its parts protect bit {} of \"{}\"", twice.ilog2(), spec.name);
                    return Err(ProtectError::Clash { protection: name, reason });
                }
                owned |= stage.owns(index);
            }
        }
        let shield = |index| stages.iter().fold(0, |all, stage| all | stage.shield(index));
        let shields = (0..specs.len()).map(shield).collect();
        Ok(Self { name, stages, specs: specs.to_vec(), kept, shields })
    }

    /// Canonical name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bounds that its stages took from clean rows; stages that took none are left out.
    pub fn taken_bounds(&self) -> StageBounds {
        let names = self.name.split('+').map(str::to_owned);
        names
            .zip(self.stages.iter().map(|stage| stage.taken_bounds()))
            .filter(|(_, of)| !of.is_empty())
            .collect()
    }

    /// Whether a draw is read otherwise than it was drawn.
    pub fn reads(&self) -> bool {
        self.stages.iter().any(|stage| stage.reads())
    }

    /// Whether stored words are shielded, or read otherwise than they were drawn.
    pub fn guards_words(&self) -> bool {
        self.reads() || self.shields.iter().any(|&shield| shield != 0)
    }

    /// What is done to values between layers, if anything.
    pub fn hooks(&self) -> Option<&dyn Hooks> {
        self.stages.iter().any(|stage| stage.hooks().is_some()).then_some(self)
    }

    /// What a target exposes under these protections: its bits but those shielded, and all that is kept for the parameters it
    /// exposes.
    pub fn exposure(&self, target: &Exposure) -> Result<ProtectedExposure, TargetError> {
        let exposed = |index| target.parameters().iter().any(|exposed| exposed.index == index);
        let kept: Vec<usize> = (0..self.kept.len()).filter(|&i| exposed(self.kept[i].1.of)).collect();
        let further: Vec<_> =
            kept.iter().map(|&i| (self.kept[i].1.spec.clone(), self.kept[i].1.mask)).collect();
        let memory = target.protected(&self.shields, &further)?;
        Ok(ProtectedExposure { target: target.clone(), memory, kept })
    }

    /// Counts what the exposed bits store, kept ones included, in one pass over the words.
    pub fn stored_bits(
        &self,
        exposure: &ProtectedExposure,
        clean: &(impl Parameters + ?Sized),
    ) -> Result<StoredBits, TargetError> {
        let mut counts = exposure.target.protected(&self.shields, &[])?.stored_bits(clean);
        for &place in &exposure.kept {
            let (stage, kept) = &self.kept[place];
            let (copy, words) = (self.copy(place), clean.words(kept.of));
            for element in 0..kept.spec.elements() {
                let word = self.stages[*stage].kept_word(kept.of, copy, words, element) & kept.mask;
                counts.ones += u64::from(word.count_ones());
                counts.nonzero_words += u64::from(word != 0);
            }
        }
        counts.zeros = exposure.memory.bits() - counts.ones;
        Ok(counts)
    }

    /// Bits that a draw on this memory changes, kept ones included.
    pub fn flips(
        &self,
        exposure: &ProtectedExposure,
        clean: &(impl Parameters + ?Sized),
        drawn: &DrawnMap,
    ) -> u64 {
        let mut flips = 0;
        for parameter in drawn.parameters() {
            if parameter.flips_only() {
                flips += parameter.flips().iter().map(|mask| u64::from(mask.count_ones())).sum::<u64>();
                continue;
            }
            let stored = self.stored_word(exposure, clean, parameter);
            for (element, effect) in parameter.iter() {
                let word = stored(element);
                flips += u64::from((word ^ effect.on(word)).count_ones());
            }
        }
        flips
    }

    /// Gives the stored words of a parameter of the memory, the model's own or one that is kept.
    fn stored_word<'a>(
        &'a self,
        exposure: &ProtectedExposure,
        clean: &'a (impl Parameters + ?Sized),
        parameter: &DrawnParameter,
    ) -> Box<dyn Fn(u64) -> u64 + 'a> {
        match parameter.index().checked_sub(self.specs.len()) {
            None => {
                let words = clean.words(parameter.index());
                Box::new(move |element| words.get(element))
            }
            Some(i) => {
                let place = exposure.kept[i];
                let (stage, kept) = &self.kept[place];
                let (copy, words) = (self.copy(place), clean.words(kept.of));
                Box::new(move |element| self.stages[*stage].kept_word(kept.of, copy, words, element))
            }
        }
    }

    /// Which of its stage's kept words for its parameter these are.
    fn copy(&self, place: usize) -> usize {
        let (stage, kept) = &self.kept[place];
        self.kept[..place].iter().filter(|(of, known)| of == stage && known.of == kept.of).count()
    }

    /// Replaces `out` by what readers get of a draw on this memory, and gives what was noticed. O(flips).
    ///
    /// Only words that read otherwise than stored are in `out`, as flips of the stored words: it is empty exactly if the scores
    /// are those of the fault-free run.
    ///
    /// Errors: the map is that of no draw.
    pub fn read(
        &self,
        exposure: &ProtectedExposure,
        clean: &(impl Parameters + ?Sized),
        drawn: &DrawnMap,
        work: &mut ReadWork,
        out: &mut DrawnMap,
    ) -> Result<Events, InjectError> {
        let mut events = Events::default();
        let mut own: Vec<Option<&DrawnParameter>> = vec![None; self.specs.len()];
        let mut beside: Vec<Option<&DrawnParameter>> = vec![None; self.kept.len()];
        for parameter in drawn.parameters() {
            match parameter.index().checked_sub(self.specs.len()) {
                None => own[parameter.index()] = Some(parameter),
                Some(i) => beside[exposure.kept[i]] = Some(parameter),
            }
        }
        out.fill_read(drawn, &exposure.target, |read| {
            for parameter in read {
                let index = parameter.index();
                let words = clean.words(index);
                work.words.clear();
                if let Some(drawn) = own[index] {
                    work.words.extend(
                        drawn.iter().map(|(element, effect)| (element, effect.on(words.get(element)))),
                    );
                }
                for (stage, prepared) in self.stages.iter().enumerate() {
                    if !prepared.reads() {
                        continue;
                    }
                    self.effects_beside(stage, index, &beside, &mut work.kept);
                    if work.words.is_empty() && work.kept.iter().all(Vec::is_empty) {
                        continue;
                    }
                    work.next.clear();
                    let touched = Touched { index, clean: words, words: &work.words, kept: &work.kept };
                    prepared.read(&touched, &mut work.next, &mut events);
                    std::mem::swap(&mut work.words, &mut work.next);
                }
                for &(element, word) in &work.words {
                    let flips = word ^ words.get(element);
                    if flips != 0 {
                        parameter.push(element, Effect::flip(flips));
                    }
                }
            }
        })?;
        Ok(events)
    }

    /// Effects on what a stage keeps for a parameter.
    fn effects_beside(
        &self,
        stage: usize,
        index: usize,
        beside: &[Option<&DrawnParameter>],
        out: &mut Vec<Vec<(u64, Effect)>>,
    ) {
        let places = (0..self.kept.len()).filter(|&i| self.kept[i].0 == stage && self.kept[i].1.of == index);
        let mut used = 0;
        for place in places {
            if out.len() == used {
                out.push(Vec::new());
            }
            out[used].clear();
            if let Some(drawn) = beside[place] {
                out[used].extend(drawn.iter());
            }
            used += 1;
        }
        out.truncate(used);
    }

    /// What reads runs of f32 words of a parameter, stage by stage; see [`Prepared::slice_reader`].
    pub fn slice_readers(&self, index: usize, clean: &[u32]) -> Vec<SliceReader> {
        self.stages.iter().filter_map(|stage| stage.slice_reader(index, clean)).collect()
    }

    /// What reads words of a clean model as they are looked up, and acts on values between layers as well.
    ///
    /// `None` where no word is read, tables are not in f32 or are read by bag, or a protection has no such kernel.
    pub fn gather_hooks(&self, model: &Model) -> Option<GatherHooks<'_>> {
        let stages: Vec<_> = self.stages.iter().filter(|stage| stage.reads()).collect();
        let of_site = |site: LookupSite| {
            let f32 = self.specs[site.table].format == Format::F32 && site.gives != LookupResult::BagSum;
            let clean = f32.then(|| model.parameters().as_slice()[site.table].f32s())?;
            let readers = stages.iter().map(|stage| stage.gather_reader(site.table, clean));
            let readers = readers.collect::<Option<Vec<_>>>()?;
            Some((site, readers))
        };
        let readers = model.lookups().into_iter().map(of_site).collect::<Option<Vec<_>>>()?;
        (!stages.is_empty() && !readers.is_empty()).then(|| GatherHooks::new(self, readers))
    }

    /// What all of it costs.
    pub fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        self.stages.iter().for_each(|stage| cost.add(stage.cost()));
        cost
    }
}
