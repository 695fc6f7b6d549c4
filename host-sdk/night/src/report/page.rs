//! The frame of a page: head, policy, style, script.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use pellucid_host::product::ColourMap;
use sha2::{Digest, Sha256};

/// A page in the making.
pub(super) struct Page {
    html: String,
    script: &'static str,
}

impl Page {
    /// Starts a page. `script` runs at its end; an empty one is none.
    pub(super) fn new(title: &str, script: &'static str) -> Self {
        let style = format!("{}{}", include_str!("page.css"), colour_bars());
        // Nothing is fetched, and only this style and this script run: markup that slipped in could do
        // nothing.
        let policy = format!(
            "default-src 'none'; img-src data:; style-src '{}'; script-src '{}'; base-uri 'none'; \
             form-action 'none'",
            hash(&style),
            hash(script)
        );
        let head = html! {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) }
                // Else browsers ask a server for one.
                link rel="icon" href="data:,";
                style { (PreEscaped(style)) }
            }
        };
        let html =
            format!("{}<html lang=\"en\">{}<body>", DOCTYPE.into_string(), head.into_string());
        Self { html, script }
    }

    /// Appends to the body.
    pub(super) fn push(&mut self, markup: Markup) {
        self.html.push_str(&markup.into_string());
    }

    /// The whole page.
    pub(super) fn finish(mut self) -> String {
        if !self.script.is_empty() {
            self.html.push_str("<script>");
            self.html.push_str(self.script);
            self.html.push_str("</script>");
        }
        self.html.push_str("</body></html>\n");
        self.html
    }
}

fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// The class of a colour map's bar.
pub(super) fn bar_class(map: ColourMap) -> &'static str {
    match map {
        ColourMap::Inferno => "bar-inferno",
        ColourMap::Viridis => "bar-viridis",
        ColourMap::Diverging => "bar-diverging",
    }
}

/// Style of the colour bars, from the maps the pictures are drawn with.
fn colour_bars() -> String {
    let maps = [ColourMap::Inferno, ColourMap::Viridis, ColourMap::Diverging];
    let rule = |map: ColourMap| {
        let stops: Vec<_> = (0..=8)
            .map(|k| map.at(f64::from(k) / 8.0))
            .map(|[r, g, b]| format!("rgb({r},{g},{b})"))
            .collect();
        format!(".{}{{background:linear-gradient(to right,{})}}\n", bar_class(map), stops.join(","))
    };
    maps.map(rule).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_runs_its_own_script_only() {
        let mut page = Page::new("<a> & b", "void 0;");
        page.push(html! { p { "x" } });
        let html = page.finish();
        assert!(html.contains("<title>&lt;a&gt; &amp; b</title>"), "{html}");
        assert!(html.contains(&format!("script-src '{}'", hash("void 0;"))));
        assert!(html.ends_with("<p>x</p><script>void 0;</script></body></html>\n"));
    }
}
