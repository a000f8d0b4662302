//! The chart of a panel: AUC against bit error rate, or RMSE from golden where there is no AUC.
//!
//! For each target the mean as a line with marks, a band that 90 % of the chips lie in, whiskers for the 95 % interval of the mean, and dashes for what theory predicts; the golden score and that of guessing as levels. The rate axis is
//! logarithmic and the same on all charts of a campaign.

use crate::drawing::{Anchor, Drawing, Ink, MARK_RADIUS, Point, Shape, Stroke};
use crate::panel::{Curve, Panel};
use crate::quantity::{count, rate, score, share};
use crate::summary::{CellLine, Summary};
use crate::terminal::{finite_or_infinite, mean_with_interval, rmse_with_interval};

const WIDTH: f64 = 900.0;
const PLOT_HEIGHT: f64 = 330.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = WIDTH - 14.0;
/// Room between the first and last rate and the edges of the plot, for whiskers.
const INSET: f64 = 16.0;
const BELOW: f64 = 54.0;
const LEGEND_ROW: f64 = 20.0;
/// Height of the head without its legend rows: the title, and air.
const HEAD: f64 = 42.0;
/// Upper estimate of the width of a letter, in parts of its height.
const LETTER: f64 = 0.62;
/// Longest name that a legend shows whole.
const NAME_LETTERS: usize = 28;
/// AUC of guessing.
const GUESS: f64 = 0.5;

/// What a chart shows of its cells.
struct Measure {
    /// What stands along the axis.
    axis: &'static str,
    /// What the whiskers are an interval of.
    whiskers: &'static str,
    /// The range that the band spans.
    spans: &'static str,
    value: fn(&CellLine) -> Option<f64>,
    /// The ends of the band.
    band: [fn(&CellLine) -> Option<f64>; 2],
    interval: fn(&CellLine) -> Option<(f64, f64)>,
    /// Whether the axis is logarithmic: 0 then lies on its lower edge, and infinity on the upper one.
    logarithmic: bool,
}

const AUC: Measure = Measure {
    axis: "AUC",
    whiskers: "95 % interval of the mean",
    spans: "5–95 % of chips",
    value: |cell| cell.mean,
    band: [|cell| cell.p05, |cell| cell.p95],
    interval: |cell| cell.ci_low.zip(cell.ci_high),
    logarithmic: false,
};

const RMSE: Measure = Measure {
    axis: "RMSE from golden",
    whiskers: "95 % interval of the median",
    spans: "min–max",
    value: |cell| finite_or_infinite(cell, cell.deviation.rmse_median),
    band: [
        |cell| finite_or_infinite(cell, cell.deviation.rmse_min),
        |cell| finite_or_infinite(cell, cell.deviation.rmse_max),
    ],
    interval: |cell| cell.deviation.rmse_low.zip(finite_or_infinite(cell, cell.deviation.rmse_high)),
    logarithmic: true,
};

/// Draws the chart of a panel, if any of its cells has a rate and a value.
pub fn chart(panel: &Panel, summary: &Summary) -> Option<Drawing> {
    let measure = if panel.by_rmse() { &RMSE } else { &AUC };
    let drawn = |cell: &CellLine| cell.mean.is_some() || cell.by_rmse();
    let rates: Vec<f64> = summary
        .panels
        .iter()
        .flat_map(|panel| &panel.curves)
        .flat_map(Curve::rated)
        .filter(|(_, cell)| drawn(cell))
        .map(|(rate, _)| rate)
        .collect();
    if !panel.curves.iter().flat_map(Curve::rated).any(|(_, cell)| drawn(cell)) {
        return None;
    }
    let series: Vec<Series<'_>> = panel
        .curves
        .iter()
        .map(|curve| {
            let place = summary.targets().iter().position(|target| *target == curve.target);
            Series { curve, place: place.unwrap_or(0) }
        })
        .collect();
    let legend = legend(&series, measure);
    let top = HEAD + LEGEND_ROW * legend.rows as f64;
    let axes = Axes::of(&rates, panel, measure, top);

    let mut shapes = vec![text((LEFT, 22.0), &panel.title(), 16, Anchor::Start, Ink::Text, true)];
    shapes.extend(legend.shapes);
    axes.draw(&mut shapes);
    if !measure.logarithmic {
        levels(panel, &axes, &mut shapes);
    }
    for one in &series {
        one.draw_band(&axes, &mut shapes);
    }
    for one in &series {
        one.draw_prediction(&axes, &mut shapes);
    }
    for one in &series {
        one.draw_means(&axes, &mut shapes);
    }
    hovers(panel, &axes, &mut shapes);
    Some(Drawing {
        width: WIDTH,
        height: axes.bottom + BELOW,
        title: format!("{} against bit error rate: {}", measure.axis, panel.title()),
        description: format!(
            "{}. One line a target: {}. The table of all cells holds the values.",
            panel.golden_line(),
            panel.curves.iter().map(|curve| curve.target.as_str()).collect::<Vec<_>>().join(", ")
        ),
        shapes,
    })
}

/// Where rates and scores lie on the drawing.
struct Axes {
    top: f64,
    bottom: f64,
    /// Decades of the first and the last rate shown.
    decades: [i32; 2],
    /// Smallest and largest score shown.
    ///
    /// Their decades on a logarithmic axis.
    scores: [f64; 2],
    step: f64,
    measure: &'static Measure,
}

impl Axes {
    fn of(rates: &[f64], panel: &Panel, measure: &'static Measure, top: f64) -> Self {
        let smallest = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = rates.iter().copied().fold(0.0, f64::max);
        // A rate of a whole decade may lie a rounding beside it.
        let first = (smallest.log10() + 1e-9).floor() as i32;
        let last = (largest.log10() - 1e-9).ceil() as i32;
        let decades = if first < last { [first, last] } else { [first - 1, first + 1] };
        let bottom = top + PLOT_HEIGHT;
        if measure.logarithmic {
            let (scores, step) = decades_of(panel, measure);
            return Self { top, bottom, decades, scores, step, measure };
        }

        let shown = panel
            .curves
            .iter()
            .flat_map(Curve::rated)
            .flat_map(|(_, cell)| [cell.p05, cell.p95, cell.mean, cell.predicted].into_iter().flatten());
        let (mut low, mut high) = (GUESS, GUESS);
        let scores = shown.chain(panel.golden).chain(panel.reference);
        // A prediction that is no AUC lies on the edge.
        for value in scores.filter(|value| (0.0..=1.0).contains(value)) {
            low = if value < low { value } else { low };
            high = if value > high { value } else { high };
        }
        // Room for the label above the golden line.
        high += 0.06 * (high - low).max(0.02);
        let step = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2]
            .into_iter()
            .find(|step| (high - low) / step <= 8.0)
            .unwrap_or(0.2);
        low = (low / step + 1e-9).floor() * step - if low < GUESS { 0.0 } else { step };
        Self { top, bottom, decades, scores: [low, high], step, measure }
    }

    fn x(&self, rate: f64) -> f64 {
        let [first, last] = self.decades.map(f64::from);
        LEFT + INSET + (rate.log10() - first) / (last - first) * (RIGHT - LEFT - 2.0 * INSET)
    }

    fn y(&self, score: f64) -> f64 {
        let [low, high] = self.scores;
        let score = if self.measure.logarithmic { score.log10() } else { score };
        self.bottom - (score - low) / (high - low) * (self.bottom - self.top)
    }

    /// The place of a score, at the edge where it lies outside.
    fn inside(&self, score: f64) -> f64 {
        self.y(score).clamp(self.top, self.bottom)
    }

    fn draw(&self, shapes: &mut Vec<Shape>) {
        let [first, last] = self.decades;
        for decade in first..=last {
            let x = self.x(10_f64.powi(decade));
            shapes.push(line(vec![(x, self.top), (x, self.bottom)], Ink::Grid, 1.0, Stroke::Solid));
            if (last - first) <= 12 || (decade - first) % 2 == 0 {
                let at = (x, self.bottom + 18.0);
                shapes.push(text(at, &format!("1e{decade}"), 12, Anchor::Middle, Ink::Muted, false));
            }
        }
        let [low, high] = self.scores;
        let mut tick = (low / self.step - 1e-9).ceil() * self.step;
        while tick <= high + 1e-9 {
            let y = self.y(if self.measure.logarithmic { 10_f64.powf(tick) } else { tick });
            shapes.push(line(vec![(LEFT, y), (RIGHT, y)], Ink::Grid, 1.0, Stroke::Solid));
            let label = match self.step {
                step if self.measure.logarithmic && tick < low + step / 2.0 => "0".to_owned(),
                step if self.measure.logarithmic && tick > high - step / 2.0 => "∞".to_owned(),
                _ if self.measure.logarithmic => format!("1e{tick:.0}"),
                ..0.01 => format!("{tick:.3}"),
                _ => format!("{tick:.2}"),
            };
            shapes.push(text((LEFT - 8.0, y + 4.0), &label, 12, Anchor::End, Ink::Muted, false));
            tick += self.step;
        }
        let corner = vec![(LEFT, self.top), (LEFT, self.bottom), (RIGHT, self.bottom)];
        shapes.push(line(corner, Ink::Axis, 1.0, Stroke::Solid));
        let middle = (f64::midpoint(LEFT, RIGHT), self.bottom + 42.0);
        shapes.push(text(middle, "bit error rate, per exposed bit", 13, Anchor::Middle, Ink::Text, false));
        shapes.push(Shape::Text {
            at: (17.0, f64::midpoint(self.top, self.bottom)),
            text: self.measure.axis.to_owned(),
            size: 13,
            anchor: Anchor::Middle,
            ink: Ink::Text,
            bold: false,
            upwards: true,
        });
    }
}

/// The decades that the values of a panel span, and how many lie between two ticks.
fn decades_of(panel: &Panel, measure: &Measure) -> ([f64; 2], f64) {
    let of = |cell: &CellLine| [(measure.value)(cell), (measure.band[0])(cell), (measure.band[1])(cell)];
    let cells =
        panel.curves.iter().flat_map(Curve::rated).flat_map(|(_, cell)| of(cell).into_iter().flatten());
    let (mut first, mut last) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in cells.filter(|value| *value > 0.0 && value.is_finite()) {
        let decade = value.log10();
        first = if decade < first { decade } else { first };
        last = if decade > last { decade } else { last };
    }
    if first > last {
        (first, last) = (-1.0, 0.0);
    }
    let step = ((last - first) / 8.0).ceil().max(1.0);
    // Zero lies a tick under the smallest value, and infinity over the largest.
    ([(first / step).floor() * step - step, (last / step).ceil() * step + step], step)
}

/// The scores to compare with. Curves begin at the golden score and end near guessing, so each label stands at the other end.
fn levels(panel: &Panel, axes: &Axes, shapes: &mut Vec<Shape>) {
    let mut level = |value: f64, label: &str, at: f64, anchor: Anchor, ink: Ink, stroke: Stroke| {
        let y = axes.y(value);
        shapes.push(line(vec![(LEFT, y), (RIGHT, y)], ink, 1.5, stroke));
        shapes.push(text((at, y - 5.0), label, 12, anchor, ink, false));
    };
    level(GUESS, "guessing 0.5", LEFT + 6.0, Anchor::Start, Ink::Guess, Stroke::Dotted);
    if let Some(golden) = panel.reference {
        let name = if panel.golden == panel.reference { "golden" } else { "golden, unprotected" };
        let label = format!("{name} {}", score(Some(golden)));
        level(golden, &label, RIGHT - 6.0, Anchor::End, Ink::Golden, Stroke::Solid);
    }
}

/// A curve with its place in the palette.
struct Series<'a> {
    curve: &'a Curve,
    place: usize,
}

impl Series<'_> {
    fn ink(&self) -> Ink {
        Ink::Series(self.place)
    }

    fn points(&self, axes: &Axes, value: fn(&CellLine) -> Option<f64>) -> Vec<Point> {
        self.curve
            .rated()
            .filter_map(|(rate, cell)| value(cell).map(|value| (axes.x(rate), axes.inside(value))))
            .collect()
    }

    fn draw_band(&self, axes: &Axes, shapes: &mut Vec<Shape>) {
        let [low, high] = axes.measure.band;
        let mut corners = self.points(axes, high);
        corners.extend(self.points(axes, low).into_iter().rev());
        if corners.len() > 2 {
            shapes.push(Shape::Area { points: corners, ink: self.ink() });
        }
    }

    fn draw_prediction(&self, axes: &Axes, shapes: &mut Vec<Shape>) {
        let points = self.points(axes, |cell| cell.predicted);
        if points.len() > 1 {
            shapes.push(line(points, self.ink(), 1.5, Stroke::Dashed));
        }
    }

    fn draw_means(&self, axes: &Axes, shapes: &mut Vec<Shape>) {
        // Whiskers of curves that share a rate lie on each other: caps of unlike width tell them apart.
        let cap = 4.0 + 2.0 * (self.place % 3) as f64;
        for (rate, cell) in self.curve.rated() {
            let Some((low, high)) = (axes.measure.interval)(cell) else { continue };
            let x = axes.x(rate);
            let ends = [axes.inside(low), axes.inside(high)];
            // A whisker that leaves the chart has no cap.
            let capped =
                [(low, ends[0]), (high, ends[1])].map(|(value, end)| (axes.y(value) - end).abs() < 0.05);
            let mut points = Vec::with_capacity(6);
            if capped[0] {
                points.extend([(x - cap, ends[0]), (x + cap, ends[0])]);
            }
            points.extend([(x, ends[0]), (x, ends[1])]);
            if capped[1] {
                points.extend([(x - cap, ends[1]), (x + cap, ends[1])]);
            }
            shapes.push(line(points, self.ink(), 1.2, Stroke::Solid));
        }
        let means = self.points(axes, axes.measure.value);
        if means.len() > 1 {
            shapes.push(line(means.clone(), self.ink(), 2.2, Stroke::Solid));
        }
        shapes.extend(means.into_iter().map(|at| self.mark(at)));
    }

    fn mark(&self, at: Point) -> Shape {
        let r = MARK_RADIUS;
        let offsets: &[Point] = match self.place % 4 {
            0 => &[],
            1 => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            2 => &[(0.0, -1.3), (1.2, 0.9), (-1.2, 0.9)],
            _ => &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
        };
        let corners = offsets.iter().map(|(dx, dy)| (at.0 + r * dx, at.1 + r * dy)).collect();
        Shape::Mark { at, corners, ink: self.ink() }
    }
}

/// The rows above the plot that say what is what.
struct Legend {
    shapes: Vec<Shape>,
    rows: usize,
}

fn legend(series: &[Series<'_>], measure: &Measure) -> Legend {
    let mut legend = Legend { shapes: Vec::new(), rows: 1 };
    let mut x = LEFT;
    let mut place = |label: &str, key: &dyn Fn(f64, f64) -> Vec<Shape>| {
        let width = 34.0 + label.chars().count() as f64 * 13.0 * LETTER + 16.0;
        if x + width > RIGHT && x > LEFT {
            x = LEFT;
            legend.rows += 1;
        }
        let y = 22.0 + LEGEND_ROW * legend.rows as f64;
        legend.shapes.extend(key(x, y - 4.0));
        legend.shapes.push(text((x + 32.0, y), label, 13, Anchor::Start, Ink::Text, false));
        x += width;
    };
    for one in series {
        place(&shortened(&one.curve.target), &|x, y| {
            vec![line(vec![(x, y), (x + 26.0, y)], one.ink(), 2.2, Stroke::Solid), one.mark((x + 13.0, y))]
        });
    }
    place(measure.spans, &|x, y| {
        let corners = vec![(x, y - 6.0), (x + 26.0, y - 6.0), (x + 26.0, y + 6.0), (x, y + 6.0)];
        vec![Shape::Area { points: corners, ink: Ink::Muted }]
    });
    place(measure.whiskers, &|x, y| {
        let bar = |from: Point, to: Point| line(vec![from, to], Ink::Muted, 1.2, Stroke::Solid);
        vec![
            bar((x + 13.0, y - 6.0), (x + 13.0, y + 6.0)),
            bar((x + 8.0, y - 6.0), (x + 18.0, y - 6.0)),
            bar((x + 8.0, y + 6.0), (x + 18.0, y + 6.0)),
        ]
    });
    if series.iter().flat_map(|one| one.curve.rated()).any(|(_, cell)| cell.predicted.is_some()) {
        place("predicted", &|x, y| vec![line(vec![(x, y), (x + 26.0, y)], Ink::Muted, 1.5, Stroke::Dashed)]);
    }
    legend
}

/// One strip a rate, from half way to the rate before to half way to the next.
fn hovers(panel: &Panel, axes: &Axes, shapes: &mut Vec<Shape>) {
    let mut rates: Vec<f64> = panel.curves.iter().flat_map(Curve::rated).map(|(rate, _)| rate).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    let xs: Vec<f64> = rates.iter().map(|rate| axes.x(*rate)).collect();
    for (index, rate) in rates.iter().enumerate() {
        let before = if index == 0 { LEFT } else { f64::midpoint(xs[index - 1], xs[index]) };
        let after = xs.get(index + 1).map_or(RIGHT, |next| f64::midpoint(xs[index], *next));
        shapes.push(Shape::Hover {
            at: (before, axes.top),
            extent: (after - before, axes.bottom - axes.top),
            x: xs[index],
            note: note(panel, *rate),
        });
    }
}

fn note(panel: &Panel, at: f64) -> String {
    let mut lines = vec![format!("bit error rate {}", rate(at))];
    for curve in &panel.curves {
        for (_, cell) in curve.rated().filter(|(rate, _)| *rate == at) {
            if cell.by_rmse() {
                lines.push(format!(
                    "{}: median RMSE {}, n {}, flips {}, chips not finite {}",
                    curve.target,
                    rmse_with_interval(cell),
                    cell.n,
                    count(cell.flips_mean),
                    share(cell.deviation.rmse_undefined_share)
                ));
                continue;
            }
            lines.push(format!(
                "{}: median {}, 5–95 % {}–{}, mean {}, n {}",
                curve.target,
                score(cell.median),
                score(cell.p05),
                score(cell.p95),
                mean_with_interval(cell),
                cell.n
            ));
        }
    }
    lines.join("\n")
}

fn line(points: Vec<Point>, ink: Ink, width: f64, stroke: Stroke) -> Shape {
    Shape::Line { points, ink, width, stroke }
}

fn text(at: Point, text: &str, size: u32, anchor: Anchor, ink: Ink, bold: bool) -> Shape {
    Shape::Text { at, text: text.to_owned(), size, anchor, ink, bold, upwards: false }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_LETTERS {
        return name.to_owned();
    }
    name.chars().take(NAME_LETTERS - 1).chain(['…']).collect()
}
