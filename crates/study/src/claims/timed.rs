//! Claims about what things cost: sections 3.2, 7, 8 and 9.

use radhard_fault::{Component, OwnedParameters};
use radhard_metrics::interval::LEVEL;
use radhard_metrics::median_interval;
use radhard_metrics::quantile::quantile;
use radhard_protect::Subject;
use radhard_protect::parse_protection;

use crate::claim::{Claim, Evidence, Verdict};
use crate::clock::Clock;
use crate::costs::{CLIP, REALISED};

/// 19 million parameters are injected at 1e-3 in seconds.
pub(super) fn c15(clock: &Clock) -> Claim {
    let mut evidence = Vec::new();
    let (mut verdict, mut why) = (Verdict::Open, "nothing measured".to_owned());
    if let Some(injection) = &clock.injection {
        let of = format!("{} words at {:.0e}", injection.words, injection.rate);
        let times = |quantity, seconds: &[f64]| {
            let interval = median_interval(seconds, LEVEL);
            Evidence {
                of: of.clone(),
                quantity,
                value: (!seconds.is_empty()).then(|| quantile(seconds, 0.5)),
                low: interval.map(|interval| interval.low),
                high: interval.map(|interval| interval.high),
                n: seconds.len() as u64,
            }
        };
        let ours = times("seconds of draw, injection and undo", &injection.seconds);
        let per_bit = times("seconds of one draw per bit", &injection.per_bit_seconds);
        // The paper speaks of its own tool, which was not run.
        verdict = Verdict::NotTested;
        let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
        let ratio = per_bit.value.zip(ours.value).map(|(plain, ours)| plain / ours);
        why = format!(
            "this tool, not the paper's: draw, injection and undo take {} s [{}, {}], one draw per bit {} s: {} times as long, n {}",
            shown(ours.value),
            shown(ours.low),
            shown(ours.high),
            shown(per_bit.value),
            ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.0}")),
            ours.n
        );
        let n = ours.n;
        evidence = vec![ours, per_bit];
        let quantity = "one draw per bit by draw, injection and undo";
        evidence.push(Evidence { of, quantity, value: ratio, low: None, high: None, n });
    }
    Claim {
        id: "C15",
        section: "3.2",
        says: "errors are injected into 19 million parameters at 1e-3 in seconds",
        criterion: "the paper's tool was not run; measured is this one: draw, injection and undo next to one random number per bit, one \
                    thread each",
        verdict,
        why,
        parts: Vec::new(),
        evidence,
    }
}

/// Injection is 100 times as fast as tools by `struct` and bit strings.
pub(super) fn by_bit_strings(clock: &Clock) -> Claim {
    let first = c15(clock);
    let ratio: Vec<Evidence> =
        first.evidence.into_iter().filter(|piece| piece.quantity.contains(" by ")).collect();
    let why = match ratio.first().and_then(|piece| piece.value) {
        Some(times) => format!(
            "the tools that the paper compares with (Python's struct and bitstring) were not run; this tool is {times:.0} times as fast as \
             one random number per bit in the same language. Decisive would be the paper's tool and those two on one machine"
        ),
        None => "nothing measured".to_owned(),
    };
    Claim {
        id: "C32",
        section: "3.2",
        says: "injection is 100 times as fast as with struct or bitstring",
        criterion: "none of the three tools was run; measured is C15",
        verdict: if ratio.is_empty() { Verdict::Open } else { Verdict::NotTested },
        why,
        parts: Vec::new(),
        evidence: ratio,
    }
}

/// ECC costs 12.5 %.
pub(super) fn c16() -> Claim {
    let mut evidence = Vec::new();
    for words in [1024, 1025] {
        let mut parameters = OwnedParameters::default();
        parameters.push_f32("weight", &[words], Component::Dense, &vec![0.5; words]);
        let subject = Subject { model: None, parameters: &parameters, calibration: None, looked_up: &[0.0] };
        let protected = parse_protection("secded").ok().and_then(|code| code.prepare(&subject).ok());
        let Some(protected) = protected else { continue };
        let of = format!("{words} words of f32");
        let value = Some(protected.cost().memory_bits as f64 / (32 * words) as f64);
        let quantity = "check bits per data bit of the (72,64) code";
        evidence.push(Evidence { of, quantity, value, low: value, high: value, n: 1 });
    }
    let odd = evidence.get(1).and_then(|piece| piece.value).unwrap_or(f64::NAN);
    Claim {
        id: "C16",
        section: "9",
        says: "error correcting codes cost 12.5 % of memory",
        criterion: "no memory with such a code was measured; computed is what the (72,64) code here keeps: check bits per data bit",
        verdict: if evidence.is_empty() { Verdict::Open } else { Verdict::NotTested },
        parts: Vec::new(),
        why: format!(
            "arithmetic, no measurement of hardware: 8 check bits are kept for 64 bits of data, exactly; a parameter that ends within a codeword costs a little more: {odd:.6} \
             where 1,025 words fill 513 codewords"
        ),
        evidence,
    }
}

/// Clipping costs less than SBP.
pub(super) fn c18(clock: &Clock) -> Claim {
    let mut evidence = Vec::new();
    // Whether the clip's largest time lies below the other's smallest, or its smallest above the other's largest.
    let (mut cheaper, mut slower, mut pairs) = ([0; REALISED.len()], [0; REALISED.len()], 0);
    for clip in clock.costs.iter().filter(|cost| cost.protection == CLIP) {
        let of = |protection: &str| {
            clock.costs.iter().find(|cost| {
                (&cost.model, &cost.data) == (&clip.model, &clip.data) && cost.protection == protection
            })
        };
        let Some(clip_time) = clip.time else { continue };
        pairs += 1;
        for (place, protection) in REALISED.into_iter().enumerate() {
            let Some([low, _, high]) = of(protection).and_then(|cost| cost.time) else { continue };
            cheaper[place] += u32::from(clip_time[2] < low);
            slower[place] += u32::from(clip_time[0] > high);
        }
        for cost in [CLIP].into_iter().chain(REALISED).filter_map(of) {
            let name = format!("{} of {} on {}", cost.protection, cost.model, cost.data);
            if let Some([low, median, high]) = cost.time {
                let quantity = "time of a pass under it by that of a pass alone";
                let (low, high) = (Some(low), Some(high));
                evidence.push(Evidence {
                    of: name.clone(),
                    quantity,
                    value: Some(median),
                    low,
                    high,
                    n: cost.n,
                });
            }
            for (quantity, value) in [
                ("memory kept, as a share of the model's", cost.memory_share),
                ("operations more per sample", cost.operations_per_sample),
            ] {
                let value = Some(value);
                evidence.push(Evidence { of: name.clone(), quantity, value, low: None, high: None, n: 1 });
            }
        }
    }
    let verdict = if pairs == 0 { Verdict::Open } else { Verdict::NotTested };
    let against: Vec<String> = REALISED
        .into_iter()
        .zip(cheaper.iter().zip(slower))
        .map(|(protection, (cheaper, slower))| format!("{protection}: less in {cheaper}, more in {slower}"))
        .collect();
    Claim {
        id: "C18",
        section: "7, 8",
        says: "clipping costs less than selective bit protection",
        criterion: "the paper means hardware, and nothing in hardware was measured; measured is software on a processor: time of a pass \
                    under clip:paper against that under each way to build sbp, every pair of passes of every model, with memory and \
                    operations; ideal sbp cannot be built and costs nothing",
        verdict,
        parts: Vec::new(),
        why: format!(
            "in software, of {pairs} models, in time {}; a clip keeps nothing, sbp=tmr 2 bits for each protected one, sbp=sec 4 bits a word, \
             sbp=parity 1",
            against.join(", ")
        ),
        evidence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::costs::Cost;
    use crate::injection::Injection;

    #[test]
    fn the_code_costs_an_eighth_exactly() {
        let claim = c16();
        assert_eq!((claim.verdict, claim.evidence[0].value), (Verdict::NotTested, Some(0.125)));
        assert_eq!(claim.evidence[1].value, Some(513.0 * 8.0 / (1025.0 * 32.0)));
    }

    #[test]
    fn what_no_clock_measured_is_open() {
        assert_eq!(c15(&Clock::default()).verdict, Verdict::Open);
        assert_eq!(c18(&Clock::default()).verdict, Verdict::Open);
    }

    #[test]
    fn times_of_this_tool_decide_nothing_of_the_paper_s_and_are_shown_next_to_one_draw_per_bit() {
        let injection = Injection {
            words: 19_000_000,
            rate: 1e-3,
            seconds: vec![0.02; 9],
            per_bit_seconds: vec![1.0; 9],
        };
        let claim = c15(&Clock { injection: Some(injection), ..Clock::default() });
        assert_eq!(claim.verdict, Verdict::NotTested);
        assert!(claim.why.contains("50 times"), "{}", claim.why);
    }

    #[test]
    fn a_clip_is_counted_as_less_only_where_every_pass_took_less() {
        let cost = |protection: &str, time: [f64; 3]| Cost {
            model: "deepfm".to_owned(),
            data: "criteo".to_owned(),
            protection: protection.to_owned(),
            memory_share: 0.0,
            operations_per_sample: 0.0,
            time: Some(time),
            n: 7,
        };
        let of = |clip: [f64; 3]| {
            let mut costs = vec![cost(CLIP, clip)];
            costs.extend(REALISED.map(|protection| cost(protection, [1.5, 1.6, 1.7])));
            let claim = c18(&Clock { costs, ..Clock::default() });
            assert_eq!(claim.verdict, Verdict::NotTested);
            claim.why
        };
        assert!(of([1.0, 1.1, 1.2]).contains("sbp=tmr: less in 1, more in 0"));
        assert!(of([1.8, 1.9, 2.0]).contains("sbp=tmr: less in 0, more in 1"));
        assert!(of([1.4, 1.5, 1.6]).contains("sbp=tmr: less in 0, more in 0"));
    }
}
