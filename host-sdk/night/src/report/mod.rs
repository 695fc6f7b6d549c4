//! The night as a page to look at in the morning, and training logs and bench verdicts as pages
//! like it.
//!
//! A page is one static HTML file: style, script and pictures are inside it, its content security
//! policy forbids everything else, and it reads the same from a disk without a network. All text
//! that comes from outside (names, reasons, header cards) goes through maud, which escapes it, and
//! through [`text::visible`].

mod chart;
mod detail;
mod error;
mod overview;
mod page;
mod picture;
mod plot;
mod product;
mod status;
mod table;
mod text;
mod training;
mod verdicts;

use std::path::Path;

use maud::{Markup, PreEscaped, html};
use pellucid_host::write_file;

use crate::state::NightState;

pub use error::ReportError;
pub use plot::write_plots;

use page::Page;
use product::Shown;

/// What a report may take.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Bytes the whole page may take, about. It is shared out among the targets: the more there are, the
    /// fewer samples and the smaller a figure each shows.
    pub page_bytes: usize,
    /// Most bytes one target takes, however few there are.
    pub target_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { page_bytes: 64 << 20, target_bytes: 640 << 10 }
    }
}

/// Writes the report of a night to `path`, whole or not at all. Products are read one after the other;
/// one that cannot be read is told in the page and stops nothing.
///
/// # Errors
/// [`ReportError::Host`] if the page cannot be written.
pub fn write(state: &NightState, path: &Path, options: &Options) -> Result<(), ReportError> {
    write_file(path, render(state, options).as_bytes())?;
    Ok(())
}

/// The page of a night.
pub fn render(state: &NightState, options: &Options) -> String {
    let share = options.page_bytes / state.targets.len().max(1);
    let share = share.min(options.target_bytes);
    let mut details = String::new();
    let mut shown = Vec::with_capacity(state.targets.len());
    for (index, target) in state.targets.iter().enumerate() {
        let product = Shown::of(target, share);
        details.push_str(&detail::template(index, target, &product).into_string());
        shown.push(product.summary());
    }
    let name = text::visible(&state.name);
    let mut page = Page::new(&format!("Night {name}"), include_str!("night.js"));
    page.push(html! {
        header {
            p.kicker { "Pellucid night report" }
            h1 { (name) }
            (overview::summary(state, &shown))
        }
        main {
            (overview::attention(state, &shown))
            (table::targets(state, &shown))
        }
        (dialog())
    });
    page.push(PreEscaped(details));
    page.finish()
}

/// Where the script shows a target.
fn dialog() -> Markup {
    html! {
        dialog #detail aria-labelledby="detail-title" {
            div.bar {
                h2 #detail-title tabindex="-1" {}
                div.buttons {
                    button #previous type="button" title="Previous target (Shift + Left)" { "‹ Previous" }
                    button #next type="button" title="Next target (Shift + Right)" { "Next ›" }
                    button #close type="button" title="Close (Esc)" { "Close ✕" }
                }
            }
            div #detail-body {}
        }
    }
}
