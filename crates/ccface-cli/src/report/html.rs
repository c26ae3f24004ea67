//! HTML and SVG elements that escape whatever is put into them.

use std::fmt::{self, Display, Write};

/// Elements of HTML that hold nothing and have no end tag.
const VOID: [&str; 5] = ["br", "hr", "img", "input", "meta"];

/// One element with its attributes and children.
///
/// Text and attribute values are escaped when the element is written, so that a file name cannot become markup.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Node>,
}

/// What an element holds.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Another element.
    Element(Element),
    /// Text, escaped when written.
    Text(String),
    /// Style sheet or script of this crate, written as it is.
    Raw(&'static str),
}

/// An element of this name.
pub(crate) fn el(name: &'static str) -> Element {
    Element {
        name,
        attributes: Vec::new(),
        children: Vec::new(),
    }
}

/// A `div` of this class.
pub(crate) fn div(class: &str) -> Element {
    el("div").attr("class", class)
}

/// A `span` of this class with text.
pub(crate) fn span(class: &str, text: impl Display) -> Element {
    el("span").attr("class", class).text(text)
}

impl Element {
    /// Adds an attribute.
    pub(crate) fn attr(mut self, name: &'static str, value: impl Display) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// Adds a coordinate, to a tenth of a pixel.
    pub(crate) fn at(self, name: &'static str, value: f64) -> Self {
        self.attr(name, tenth(value))
    }

    /// Adds text.
    pub(crate) fn text(mut self, text: impl Display) -> Self {
        self.children.push(Node::Text(text.to_string()));
        self
    }

    /// Adds a child.
    pub(crate) fn push(mut self, child: impl Into<Node>) -> Self {
        self.children.push(child.into());
        self
    }

    /// Adds children.
    pub(crate) fn extend(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.children
            .extend(children.into_iter().map(Node::Element));
        self
    }
}

impl From<Element> for Node {
    fn from(element: Element) -> Self {
        Self::Element(element)
    }
}

impl Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}", self.name)?;
        for (name, value) in &self.attributes {
            write!(f, " {name}=\"")?;
            escape(f, value)?;
            f.write_char('"')?;
        }
        f.write_char('>')?;
        if VOID.contains(&self.name) {
            return Ok(());
        }
        for child in &self.children {
            match child {
                Node::Element(element) => element.fmt(f)?,
                Node::Text(text) => escape(f, text)?,
                Node::Raw(text) => f.write_str(text)?,
            }
        }
        write!(f, "</{}>", self.name)
    }
}

/// A number to a tenth, without a superfluous zero.
pub(crate) fn tenth(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    if rounded == 0.0 {
        "0".into()
    } else {
        rounded.to_string()
    }
}

fn escape(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        match c {
            '&' => f.write_str("&amp;")?,
            '<' => f.write_str("&lt;")?,
            '>' => f.write_str("&gt;")?,
            '"' => f.write_str("&quot;")?,
            '\'' => f.write_str("&#39;")?,
            '\n' | '\t' => f.write_char(c)?,
            // Neither control characters nor marks that turn the direction of text belong into a page.
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                f.write_char('\u{fffd}')?;
            }
            c => f.write_char(c)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_cannot_become_markup() {
        let page = el("p")
            .attr("title", "\" onload=\"x")
            .text("<script>alert('1') & more</script>")
            .to_string();
        assert_eq!(
            page,
            "<p title=\"&quot; onload=&quot;x\">&lt;script&gt;alert(&#39;1&#39;) &amp; more&lt;/script&gt;</p>"
        );
    }

    #[test]
    fn control_characters_and_direction_marks_are_replaced() {
        assert_eq!(
            el("i").text("a\u{1b}[31m\u{202e}b").to_string(),
            "<i>a\u{fffd}[31m\u{fffd}b</i>"
        );
    }

    #[test]
    fn void_elements_have_no_end_tag() {
        assert_eq!(
            div("a").push(el("br")).push(el("b")).to_string(),
            "<div class=\"a\"><br><b></b></div>"
        );
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!(
            [tenth(-0.04), tenth(12.0), tenth(0.25), tenth(99.96)],
            ["0", "12", "0.3", "100"]
        );
    }
}
