//! Drawings as svg: alone with its colours written out, or inside a page that colours it by class.

use std::fmt::Write;

use crate::drawing::{Anchor, Drawing, Ink, MARK_RADIUS, Point, SERIES, Shape, Stroke};

/// Where an svg's colours come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// From the file itself: light ground, readable by every viewer.
    Own,
    /// From the page around it, by the classes of [`style`].
    Page,
}

const FONT: &str = "system-ui, 'Segoe UI', 'Liberation Sans', 'DejaVu Sans', Arial, sans-serif";

/// Writes a drawing; `id` tells its labels from those of other drawings on the same page.
pub fn svg(drawing: &Drawing, colours: Colours, id: &str) -> String {
    let mut out = String::new();
    let (width, height) = (number(drawing.width), number(drawing.height));
    out.push_str("<svg xmlns=\"http://www.w3.org/2000/svg\"");
    match colours {
        Colours::Own => put(&mut out, format_args!(" width=\"{width}\" height=\"{height}\"")),
        Colours::Page => out.push_str(" class=\"chart\""),
    }
    put(
        &mut out,
        format_args!(
            " viewBox=\"0 0 {width} {height}\" role=\"group\" aria-labelledby=\"{id}-title {id}-desc\" \
             font-family=\"{FONT}\">\n<title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n",
            escaped(&drawing.title),
            escaped(&drawing.description)
        ),
    );
    if colours == Colours::Own {
        out.push_str("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n");
    }
    for shape in &drawing.shapes {
        write_shape(&mut out, shape, colours);
    }
    out.push_str("</svg>\n");
    out
}

/// The rules that colour [`Colours::Page`] drawings, on light and on dark ground.
pub fn style() -> String {
    let inks = [
        ("ink-text", Ink::Text),
        ("ink-muted", Ink::Muted),
        ("ink-axis", Ink::Axis),
        ("ink-grid", Ink::Grid),
        ("ink-golden", Ink::Golden),
        ("ink-guess", Ink::Guess),
    ];
    let mut inks: Vec<(String, Ink)> = inks.map(|(class, ink)| (class.to_owned(), ink)).into();
    inks.extend((0..SERIES).map(|place| (format!("ink-{place}"), Ink::Series(place))));
    let rules = |colour: fn(Ink) -> &'static str| -> String {
        inks.iter().flat_map(|(class, ink)| [".", class, "{--ink:", colour(*ink), "}"]).collect()
    };
    format!("{}\n@media screen and (prefers-color-scheme:dark){{{}}}\n", rules(Ink::light), rules(Ink::dark))
}

/// Text as it may stand in XML, between tags or inside quotes.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no way to write other control characters.
            '\n' | '\t' => out.push(character),
            control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => {
                out.push('\u{fffd}');
            }
            other => out.push(other),
        }
    }
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = out.write_fmt(text);
}

/// A length to a tenth of a pixel.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn class(ink: Ink) -> String {
    match ink {
        Ink::Text => "ink-text".to_owned(),
        Ink::Muted => "ink-muted".to_owned(),
        Ink::Axis => "ink-axis".to_owned(),
        Ink::Grid => "ink-grid".to_owned(),
        Ink::Golden => "ink-golden".to_owned(),
        Ink::Guess => "ink-guess".to_owned(),
        Ink::Series(place) => format!("ink-{}", place % SERIES),
    }
}

fn points(points: &[Point]) -> String {
    points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect::<Vec<_>>().join(" ")
}

fn write_shape(out: &mut String, shape: &Shape, colours: Colours) {
    let paint = |kind: &str, ink: Ink| match (colours, kind) {
        (Colours::Page, _) => format!("class=\"{kind} {}\"", class(ink)),
        (Colours::Own, "line") => {
            format!("fill=\"none\" stroke-linejoin=\"round\" stroke=\"{}\"", ink.light())
        }
        (Colours::Own, "area") => format!("fill=\"{}\" fill-opacity=\"0.13\"", ink.light()),
        (Colours::Own, _) => format!("fill=\"{}\"", ink.light()),
    };
    match shape {
        Shape::Line { points: line, ink, width, stroke } => {
            let dashes = match stroke {
                Stroke::Solid => "",
                Stroke::Dashed => " stroke-dasharray=\"7 5\"",
                Stroke::Dotted => " stroke-dasharray=\"2 4\"",
            };
            put(
                out,
                format_args!(
                    "<polyline {} stroke-width=\"{}\"{dashes} points=\"{}\"/>\n",
                    paint("line", *ink),
                    number(*width),
                    points(line)
                ),
            );
        }
        Shape::Area { points: corners, ink } => {
            put(out, format_args!("<polygon {} points=\"{}\"/>\n", paint("area", *ink), points(corners)));
        }
        Shape::Mark { at, corners, ink } if corners.is_empty() => {
            put(
                out,
                format_args!(
                    "<circle {} cx=\"{}\" cy=\"{}\" r=\"{}\"/>\n",
                    paint("mark", *ink),
                    number(at.0),
                    number(at.1),
                    number(MARK_RADIUS)
                ),
            );
        }
        Shape::Mark { corners, ink, .. } => {
            put(out, format_args!("<polygon {} points=\"{}\"/>\n", paint("mark", *ink), points(corners)));
        }
        Shape::Text { at, text, size, anchor, ink, bold, upwards } => {
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let (x, y) = (number(at.0), number(at.1));
            let turned = if *upwards { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
            let weight = if *bold { " font-weight=\"600\"" } else { "" };
            put(
                out,
                format_args!(
                    "<text {} x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\"{weight}{turned}>{}</text>\n",
                    paint("text", *ink),
                    escaped(text)
                ),
            );
        }
        Shape::Hover { at, extent, x, note } => {
            // Alone, a viewer shows the title; in a page, its script takes it.
            let focus = if colours == Colours::Page { " tabindex=\"0\" role=\"img\"" } else { "" };
            put(
                out,
                format_args!(
                    "<g class=\"hover\"{focus}><title>{}</title><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" \
                     fill=\"#000\" fill-opacity=\"0\"/>",
                    escaped(note),
                    number(at.0),
                    number(at.1),
                    number(extent.0),
                    number(extent.1)
                ),
            );
            if colours == Colours::Page {
                put(
                    out,
                    format_args!(
                        "<line x1=\"{0}\" x2=\"{0}\" y1=\"{1}\" y2=\"{2}\"/>",
                        number(*x),
                        number(at.1),
                        number(at.1 + extent.1)
                    ),
                );
            }
            out.push_str("</g>\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        assert_eq!(
            escaped("<script a=\"b\" c='d'>&\u{1b}[31m\u{0}</script>"),
            "&lt;script a=&quot;b&quot; c=&#39;d&#39;&gt;&amp;\u{fffd}[31m\u{fffd}&lt;/script&gt;"
        );
    }
}
