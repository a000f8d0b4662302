//! A drawing: shapes in pixels, named by what they mean; svg and png are two ways to write it.

/// What a shape means, and so how it looks on light and on dark ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Text that is read first.
    Text,
    /// Text that is read second.
    Muted,
    /// Lines of the axes.
    Axis,
    /// Lines behind everything.
    Grid,
    /// The golden score.
    Golden,
    /// The score of guessing.
    Guess,
    /// A curve, by its place in the palette.
    Series(usize),
}

/// How many colours the palette has; a later curve begins it anew, with another marker.
pub const SERIES: usize = 7;

/// Colours on light and on dark ground, told apart under every common colour blindness.
///
/// Source: Okabe & Ito 2008 (yellow and black left out; indigo of Tol 2021 for sky blue, which is faint on white), lightened
/// for dark ground.
const PALETTE: [[&str; 2]; SERIES] = [
    ["#0072b2", "#56a9e0"],
    ["#c04f00", "#f0843c"],
    ["#00805f", "#2fc79b"],
    ["#b04f86", "#e28fbf"],
    ["#9a6a00", "#e6b23c"],
    ["#3d2b9c", "#b3a6ff"],
    ["#555555", "#b9b9b9"],
];

impl Ink {
    /// Colour on light ground.
    pub fn light(self) -> &'static str {
        self.colours()[0]
    }

    /// Colour on dark ground.
    pub fn dark(self) -> &'static str {
        self.colours()[1]
    }

    fn colours(self) -> [&'static str; 2] {
        match self {
            Self::Text => ["#1a1d21", "#e8eaed"],
            Self::Muted => ["#5a626b", "#a3abb5"],
            Self::Axis => ["#7b848e", "#7b848e"],
            Self::Grid => ["#e3e6e9", "#31363c"],
            Self::Golden => ["#8a6d00", "#e3c04a"],
            Self::Guess => ["#69727c", "#949ca6"],
            Self::Series(place) => PALETTE[place % SERIES],
        }
    }
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// Unbroken.
    Solid,
    /// Broken: what was not measured.
    Dashed,
    /// Dotted: a level to compare with.
    Dotted,
}

/// Where a text stands from its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The text begins at the point.
    Start,
    /// The point is in its middle.
    Middle,
    /// The text ends at the point.
    End,
}

/// A point in pixels, x to the right and y down.
pub type Point = (f64, f64);

/// One shape.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A line through points.
    Line {
        /// The points.
        points: Vec<Point>,
        /// What it means.
        ink: Ink,
        /// Width in pixels.
        width: f64,
        /// How it is drawn.
        stroke: Stroke,
    },
    /// A surface inside a closed line, lightly filled.
    Area {
        /// Its corners.
        points: Vec<Point>,
        /// What it means.
        ink: Ink,
    },
    /// A filled mark with straight sides, or round where it has no corners.
    Mark {
        /// Its middle.
        at: Point,
        /// Its corners; none for a disc.
        corners: Vec<Point>,
        /// What it means.
        ink: Ink,
    },
    /// A line of text.
    Text {
        /// Its point, on the base line.
        at: Point,
        /// What it says.
        text: String,
        /// Height in pixels.
        size: u32,
        /// Where it stands from its point.
        anchor: Anchor,
        /// What it means.
        ink: Ink,
        /// Whether it is set bold.
        bold: bool,
        /// Whether it reads upwards.
        upwards: bool,
    },
    /// A surface that is not seen, and tells a reader who points at it.
    Hover {
        /// Left upper corner.
        at: Point,
        /// Width and height.
        extent: Point,
        /// The line where its values are.
        x: f64,
        /// What it tells.
        note: String,
    },
}

/// Radius of a disc, in pixels.
pub const MARK_RADIUS: f64 = 4.0;

/// Shapes on a ground of some size, with what they show in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    /// Width in pixels.
    pub width: f64,
    /// Height in pixels.
    pub height: f64,
    /// What it shows, in a few words.
    pub title: String,
    /// What it shows, in sentences.
    pub description: String,
    /// The shapes, the hindmost first.
    pub shapes: Vec<Shape>,
}
