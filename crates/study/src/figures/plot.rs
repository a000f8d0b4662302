//! Plots of a score against the bit error rate, three beside each other on one sheet.

use radhard_report::drawing::{Anchor, Drawing, Ink, MARK_RADIUS, Point, Shape, Stroke};
use radhard_report::quantity::{rate, score};

const PLOT_WIDTH: f64 = 330.0;
const PLOT_HEIGHT: f64 = 250.0;
/// Room left of each plot for its axis.
const LEFT: f64 = 54.0;
const GAP: f64 = 14.0;
const TITLE: f64 = 40.0;
const LEGEND_ROW: f64 = 20.0;
/// Room above each plot for its title.
const ABOVE: f64 = 26.0;
const BELOW: f64 = 52.0;
/// Plots side by side, at most.
const COLUMNS: usize = 3;
/// From one row of plots to the next.
const ROW: f64 = ABOVE + PLOT_HEIGHT + BELOW;
const INSET: f64 = 12.0;
/// Room between the whiskers of neighbouring lines.
const WHISKER_GAP: f64 = 2.5;
/// Upper estimate of the width of a letter, in parts of its height.
const LETTER: f64 = 0.62;

/// What is drawn at each point.
const LEGEND: &str = "line: mean of the chips · band: 5 to 95 % of the chips · whisker: 95 % interval of the mean, cut at the edge · dashes: predicted";
/// Room of one line of notes under the plots.
const NOTE: f64 = 18.0;

/// Several plots with one legend.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// What it shows, in a line.
    pub title: String,
    /// How its models were made, in a line under the plots; may be empty.
    pub note: String,
    /// What the vertical axes show.
    pub score: &'static str,
    /// The score of guessing, where there is one.
    pub guess: Option<f64>,
    /// Whether intervals are drawn: between lines of the same chips the differences are exact, and intervals of either only hide them.
    pub whiskers: bool,
    /// The plots from left to right.
    pub plots: Vec<Plot>,
}

/// One plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// Its title.
    pub title: String,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// One line; lines of one name have one colour on the whole sheet.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// The fault-free score.
    pub golden: Option<f64>,
    /// Its points at rising rates.
    pub marks: Vec<Mark>,
}

/// One point of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// Bit error rate.
    pub rate: f64,
    /// Mean score.
    pub mean: f64,
    /// Scores between which 5 to 95 % of the chips lie.
    pub band: [f64; 2],
    /// Smallest and largest score of a chip.
    pub ends: [f64; 2],
    /// 95 % interval of the mean.
    pub interval: Option<[f64; 2]>,
    /// What theory predicts of the mean.
    pub predicted: Option<f64>,
}

impl Sheet {
    /// The drawing; none where nothing was measured.
    pub fn drawing(&self) -> Option<Drawing> {
        let marks = || self.plots.iter().flat_map(|plot| &plot.lines).flat_map(|line| &line.marks);
        let start = self.guess.or_else(|| Some(marks().next()?.mean)).unwrap_or(0.0);
        let (mut low, mut high) = (start, start);
        let (mut first, mut last) = (i32::MAX, i32::MIN);
        for mark in marks() {
            for value in mark.band.into_iter().chain([mark.mean]) {
                low = if value < low { value } else { low };
                high = if value > high { value } else { high };
            }
            first = first.min((mark.rate.log10() + 1e-9).floor() as i32);
            last = last.max((mark.rate.log10() - 1e-9).ceil() as i32);
        }
        marks().next()?;
        if first == last {
            last += 1;
        }
        let step = 0.05;
        let scores = [(low / step - 1e-9).floor() * step, (high / step + 1e-9).ceil() * step];

        let mut names: Vec<&str> = Vec::new();
        for line in self.plots.iter().flat_map(|plot| &plot.lines) {
            if !names.contains(&line.name.as_str()) {
                names.push(&line.name);
            }
        }
        let columns = self.plots.len().min(COLUMNS);
        let width = columns as f64 * (LEFT + PLOT_WIDTH + GAP) + GAP;
        let mut shapes = vec![text((GAP + 4.0, 24.0), &self.title, 16, Anchor::Start, Ink::Text, true)];
        let rows = legend(&names, width, &mut shapes);
        let top = TITLE + LEGEND_ROW * rows as f64 + ABOVE;
        for (place, plot) in self.plots.iter().enumerate() {
            let (row, column) = (place / columns, place % columns);
            let left = GAP + LEFT + column as f64 * (LEFT + PLOT_WIDTH + GAP);
            let top = top + row as f64 * ROW;
            let axes = Axes {
                left,
                top,
                decades: [first, last],
                scores,
                guess: self.guess,
                whiskers: self.whiskers,
            };
            axes.draw(plot, if column == 0 { self.score } else { "" }, &mut shapes);
            for line in &plot.lines {
                let colour = names.iter().position(|name| *name == line.name).unwrap_or(0);
                axes.draw_line(line, colour, names.len(), &mut shapes);
            }
        }
        let bottom = top + PLOT_HEIGHT + BELOW + (self.plots.len().div_ceil(columns) - 1) as f64 * ROW;
        let under: Vec<&str> = [if self.whiskers { LEGEND } else { "" }, self.note.as_str()]
            .into_iter()
            .filter(|line| !line.is_empty())
            .collect();
        for (place, line) in under.iter().enumerate() {
            let at = (GAP + 4.0, bottom + NOTE * place as f64 + 4.0);
            shapes.push(text(at, line, 11, Anchor::Start, Ink::Muted, false));
        }
        let notes: Vec<String> = self.plots.iter().map(Plot::in_words).collect();
        Some(Drawing {
            width,
            height: bottom + NOTE * under.len() as f64,
            title: self.title.clone(),
            description: format!(
                "{} against bit error rate; lines are means, bands hold 5 to 95 % of the chips{}. {} {}",
                self.score,
                if self.whiskers {
                    ", whiskers are 95 % intervals of the mean, dashes what theory predicts"
                } else {
                    ""
                },
                self.note,
                notes.join(" ")
            ),
            shapes,
        })
    }
}

impl Plot {
    fn in_words(&self) -> String {
        let ends: Vec<String> = self
            .lines
            .iter()
            .filter_map(|line| {
                let end = line.marks.last()?;
                Some(format!("{} {} at {}", line.name, score(Some(end.mean)), rate(end.rate)))
            })
            .collect();
        format!("{}: {}.", self.title, ends.join(", "))
    }
}

/// The names in rows above the plots; how many rows.
fn legend(names: &[&str], width: f64, shapes: &mut Vec<Shape>) -> usize {
    let (mut x, mut rows) = (GAP + 4.0, 1);
    for (place, name) in names.iter().enumerate() {
        let room = 34.0 + name.chars().count() as f64 * 13.0 * LETTER + 16.0;
        if x + room > width && x > GAP + 4.0 {
            x = GAP + 4.0;
            rows += 1;
        }
        let y = TITLE + LEGEND_ROW * rows as f64 - 8.0;
        let ink = Ink::Series(place);
        shapes.push(line(vec![(x, y - 4.0), (x + 26.0, y - 4.0)], ink, 2.2, Stroke::Solid));
        shapes.push(marker((x + 13.0, y - 4.0), place));
        shapes.push(text((x + 32.0, y), name, 13, Anchor::Start, Ink::Text, false));
        x += room;
    }
    rows
}

struct Axes {
    left: f64,
    top: f64,
    decades: [i32; 2],
    scores: [f64; 2],
    guess: Option<f64>,
    whiskers: bool,
}

impl Axes {
    fn x(&self, rate: f64) -> f64 {
        let [first, last] = self.decades.map(f64::from);
        self.left + INSET + (rate.log10() - first) / (last - first) * (PLOT_WIDTH - 2.0 * INSET)
    }

    fn y(&self, score: f64) -> f64 {
        let [low, high] = self.scores;
        let share = (score - low) / (high - low);
        let y = self.top + PLOT_HEIGHT * (1.0 - share);
        if y < self.top {
            self.top
        } else if y > self.top + PLOT_HEIGHT {
            self.top + PLOT_HEIGHT
        } else {
            y
        }
    }

    fn draw(&self, plot: &Plot, label: &str, shapes: &mut Vec<Shape>) {
        let (right, bottom) = (self.left + PLOT_WIDTH, self.top + PLOT_HEIGHT);
        shapes.push(text((self.left, self.top - 9.0), &plot.title, 14, Anchor::Start, Ink::Text, true));
        let [first, last] = self.decades;
        for decade in first..=last {
            let x = self.x(10_f64.powi(decade));
            shapes.push(line(vec![(x, self.top), (x, bottom)], Ink::Grid, 1.0, Stroke::Solid));
            let name = format!("1e{decade}");
            shapes.push(text((x, bottom + 17.0), &name, 11, Anchor::Middle, Ink::Muted, false));
        }
        let [low, high] = self.scores;
        let step = if high - low > 0.35 { 0.1 } else { 0.05 };
        let mut value = (low / step - 1e-9).ceil() * step;
        while value <= high + 1e-9 {
            let y = self.y(value);
            shapes.push(line(vec![(self.left, y), (right, y)], Ink::Grid, 1.0, Stroke::Solid));
            // Added up from below, a value at 0 may be a little less.
            let name = format!("{:.2}", if value.abs() < 1e-9 { 0.0 } else { value });
            shapes.push(text((self.left - 6.0, y + 4.0), &name, 11, Anchor::End, Ink::Muted, false));
            value += step;
        }
        if let Some(guess) = self.guess {
            let y = self.y(guess);
            shapes.push(line(vec![(self.left, y), (right, y)], Ink::Guess, 1.2, Stroke::Dotted));
        }
        shapes.push(line(vec![(self.left, bottom), (right, bottom)], Ink::Axis, 1.0, Stroke::Solid));
        let middle = self.left + PLOT_WIDTH / 2.0;
        shapes.push(text((middle, bottom + 38.0), "bit error rate", 12, Anchor::Middle, Ink::Muted, false));
        if !label.is_empty() {
            shapes.push(Shape::Text {
                at: (self.left - 40.0, self.top + PLOT_HEIGHT / 2.0),
                text: label.to_owned(),
                size: 12,
                anchor: Anchor::Middle,
                ink: Ink::Muted,
                bold: false,
                upwards: true,
            });
        }
    }

    fn draw_line(&self, of: &Line, colour: usize, lines: usize, shapes: &mut Vec<Shape>) {
        let ink = Ink::Series(colour);
        let at = |mark: &Mark, value: f64| (self.x(mark.rate), self.y(value));
        if of.marks.len() > 1 {
            let mut corners: Vec<Point> = of.marks.iter().map(|mark| at(mark, mark.band[1])).collect();
            corners.extend(of.marks.iter().rev().map(|mark| at(mark, mark.band[0])));
            shapes.push(Shape::Area { points: corners, ink });
        }
        let predicted: Vec<Point> =
            of.marks.iter().filter_map(|mark| Some(at(mark, mark.predicted?))).collect();
        if predicted.len() > 1 {
            shapes.push(line(predicted, ink, 1.2, Stroke::Dashed));
        }
        // Side by side, so that those of several lines at one rate can be told apart.
        let aside = (colour as f64 - (lines as f64 - 1.0) / 2.0) * WHISKER_GAP;
        for mark in &of.marks {
            if let Some(interval) = mark.interval.filter(|_| self.whiskers) {
                let ends = interval.map(|end| at(mark, end)).map(|(x, y)| (x + aside, y));
                shapes.push(line(ends.to_vec(), ink, 0.8, Stroke::Solid));
            }
        }
        let means: Vec<Point> = of.marks.iter().map(|mark| at(mark, mark.mean)).collect();
        if means.len() > 1 {
            shapes.push(line(means.clone(), ink, 2.2, Stroke::Solid));
        }
        shapes.extend(means.into_iter().map(|point| marker(point, colour)));
    }
}

fn marker(at: Point, place: usize) -> Shape {
    let r = MARK_RADIUS;
    let offsets: &[Point] = match place % 4 {
        0 => &[],
        1 => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        2 => &[(0.0, -1.3), (1.2, 0.9), (-1.2, 0.9)],
        _ => &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
    };
    let corners = offsets.iter().map(|(dx, dy)| (at.0 + r * dx, at.1 + r * dy)).collect();
    Shape::Mark { at, corners, ink: Ink::Series(place) }
}

pub(super) fn line(points: Vec<Point>, ink: Ink, width: f64, stroke: Stroke) -> Shape {
    Shape::Line { points, ink, width, stroke }
}

pub(super) fn text(at: Point, text: &str, size: u32, anchor: Anchor, ink: Ink, bold: bool) -> Shape {
    Shape::Text { at, text: text.to_owned(), size, anchor, ink, bold, upwards: false }
}
