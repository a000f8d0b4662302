//! A page of tables and drawings: one HTML file that needs nothing else, without scripts.

use minijinja::{Environment, Value, context};

use crate::drawing::Drawing;
use crate::svg::{Colours, style, svg};

const TEMPLATE: &str = include_str!("page/folio.html");
/// The template of sections, which pages include.
pub(crate) const SECTIONS: &str = include_str!("page/sections.html");
const STYLE: &str = include_str!("page/page.css");

/// A page of tables and drawings.
#[derive(Debug, Clone, Default)]
pub struct Folio {
    /// Its title.
    pub title: String,
    /// What it is, in a few lines.
    pub lead: Vec<String>,
    /// What a reader must know before believing it.
    pub notices: Vec<String>,
    /// The sections in their order.
    pub sections: Vec<Section>,
}

/// A section of a page.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// Its anchor: a word.
    pub id: String,
    /// Its heading.
    pub heading: String,
    /// What stands before its tables.
    pub text: Vec<String>,
    /// Its tables.
    pub tables: Vec<Table>,
    /// Its drawings.
    pub drawings: Vec<Drawing>,
}

/// A table of texts.
///
/// Shapes: `numbers` as `head`, and each row as `head`.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// What it shows.
    pub caption: String,
    /// Whether cells hold sentences, which are broken into lines.
    pub wide: bool,
    /// Names of the columns.
    pub head: Vec<String>,
    /// Which columns hold numbers, set flush right.
    pub numbers: Vec<bool>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The same as a table of Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule: Vec<&str> =
            self.numbers.iter().map(|number| if *number { "---:" } else { "---" }).collect();
        let mut text = format!("{}|{}|\n", line(&self.head), rule.join("|"));
        text.extend(self.rows.iter().map(|row| line(row)));
        text
    }
}

impl Folio {
    /// Writes the page.
    ///
    /// Errors: none that texts and drawings can cause; a template that does not fit its values.
    pub fn html(self) -> Result<String, minijinja::Error> {
        let mut environment = Environment::new();
        environment.add_template("folio.html", TEMPLATE)?;
        environment.add_template("sections.html", SECTIONS)?;
        let sections = values(self.sections, &mut 0);
        environment.get_template("folio.html")?.render(context! {
            style => Value::from_safe_string(format!("{STYLE}{}", style())),
            title => self.title,
            lead => self.lead,
            notices => self.notices,
            sections,
        })
    }
}

/// Sections as their template takes them; drawings are numbered from `drawn` on.
pub(crate) fn values(sections: Vec<Section>, drawn: &mut usize) -> Vec<Value> {
    let of_table = |table: Table| {
        let Table { caption, wide, head, numbers, rows } = table;
        context! { caption, wide, head, numbers, rows }
    };
    sections
        .into_iter()
        .map(|Section { id, heading, text, tables, drawings }| {
            let figures: Vec<Value> = drawings
                .iter()
                .map(|drawing| {
                    *drawn += 1;
                    Value::from_safe_string(svg(drawing, Colours::Page, &format!("figure-{drawn}")))
                })
                .collect();
            let tables: Vec<Value> = tables.into_iter().map(of_table).collect();
            context! { id, heading, text, tables, figures }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            caption: "rates".to_owned(),
            wide: false,
            head: vec!["model".to_owned(), "rate".to_owned()],
            numbers: vec![false, true],
            rows: vec![vec!["a|b <c>".to_owned(), "1e-3".to_owned()]],
        }
    }

    #[test]
    fn a_table_reads_as_markdown_whatever_is_in_it() {
        assert_eq!(table().markdown(), "| model | rate |\n|---|---:|\n| a\\|b <c> | 1e-3 |\n");
    }

    #[test]
    fn a_page_escapes_its_texts_and_asks_for_nothing() {
        let section = Section {
            id: "one".to_owned(),
            heading: "One & all".to_owned(),
            tables: vec![table()],
            ..Section::default()
        };
        let folio = Folio { title: "<title>".to_owned(), sections: vec![section], ..Folio::default() };
        let html = folio.html().unwrap();
        assert!(
            html.contains("&lt;title&gt;")
                && html.contains("One &amp; all")
                && html.contains("a|b &lt;c&gt;")
        );
        assert!(html.contains("<a href=\"#one\">") && html.contains("<td class=\"number\">1e-3</td>"));
        assert!(!html.contains("<script") && !html.contains("http://") && !html.contains("https://"));
    }
}
