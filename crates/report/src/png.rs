//! Drawings as png, with letters from an embedded font.
//!
//! The rasteriser and the font (DejaVu Sans) are those of the crate `kuva`, which appears nowhere else.

use kuva::backend::raster::RasterBackend;
use kuva::render::color::Color;
use kuva::render::render::{PathData, Primitive, Scene, TextAnchor};

use crate::drawing::{Anchor, Drawing, Ink, MARK_RADIUS, Point, Shape, Stroke};

/// Pixels of the file for one of the drawing.
const SCALE: f32 = 2.0;

/// Draws on light ground; what the rasteriser says if it cannot.
pub fn png(drawing: &Drawing) -> Result<Vec<u8>, String> {
    let mut scene = Scene::new(drawing.width, drawing.height);
    for shape in &drawing.shapes {
        match shape {
            Shape::Line { points, ink, width, stroke } => scene.add(Primitive::PolyLine {
                points: points.clone(),
                stroke: colour(*ink),
                stroke_width: *width,
                // The rasteriser rounds both ends of a dash, which shortens the gaps.
                stroke_dasharray: match stroke {
                    Stroke::Solid => None,
                    Stroke::Dashed => Some("6 7".to_owned()),
                    Stroke::Dotted => Some("1 5".to_owned()),
                },
            }),
            Shape::Area { points, ink } => scene.add(filled(points, *ink, 0.13)),
            Shape::Mark { at, corners, ink } if corners.is_empty() => scene.add(Primitive::Circle {
                cx: at.0,
                cy: at.1,
                r: MARK_RADIUS,
                fill: colour(*ink),
                fill_opacity: None,
                stroke: None,
                stroke_width: None,
            }),
            Shape::Mark { corners, ink, .. } => scene.add(filled(corners, *ink, 1.0)),
            Shape::Text { at, text, size, anchor, ink, bold, upwards } => scene.add(Primitive::Text {
                x: at.0,
                y: at.1,
                content: text.clone(),
                size: *size,
                anchor: match anchor {
                    Anchor::Start => TextAnchor::Start,
                    Anchor::Middle => TextAnchor::Middle,
                    Anchor::End => TextAnchor::End,
                },
                rotate: upwards.then_some(-90.0),
                bold: *bold,
                color: Some(colour(*ink)),
            }),
            Shape::Hover { .. } => {}
        }
    }
    RasterBackend::new().with_scale(SCALE).render_scene(&scene)
}

fn colour(ink: Ink) -> Color {
    Color::from(ink.light())
}

fn filled(corners: &[Point], ink: Ink, opacity: f64) -> Primitive {
    let corners: Vec<String> = corners.iter().map(|(x, y)| format!("{x:.2} {y:.2}")).collect();
    let d = format!("M {} Z", corners.join(" L "));
    Primitive::Path(Box::new(PathData {
        d,
        fill: Some(colour(ink)),
        stroke: Color::None,
        stroke_width: 0.0,
        opacity: Some(opacity),
        stroke_dasharray: None,
    }))
}
