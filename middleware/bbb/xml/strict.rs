//! XML that the parsers of nodes accept. They know namespaces, and every character counts.

use std::collections::HashMap;

use super::events::{Event, Events};
use super::writer::{is_allowed, is_name};
use super::{Problem, XmlError};

/// The prefixes that need no declaration.
const BUILT_IN: [&str; 2] = ["xml", "xmlns"];

/// Checks that the parser of a node takes a document, too. What nodes write may be worse: they make names of what clients say.
///
/// # Errors
///
/// It is not well-formed and complete, has a name that cannot be one, a prefix without a namespace, or a character that XML forbids.
pub fn taken_by_nodes(xml: &[u8]) -> Result<(), XmlError> {
    let mut events = Events::new(xml)?;
    let mut scope = Scope::default();
    // Comments and instructions are no events, and their characters count, too.
    let forbidden = |text: &str| text.char_indices().find(|(_, letter)| !is_allowed(*letter)).map(|(place, _)| place);
    if let Some(place) = std::str::from_utf8(xml).ok().and_then(forbidden) {
        return Err(malformed("a character that XML forbids", place));
    }
    while let Some(event) = events.next()? {
        let refused = match event {
            Event::Open => scope.open(&events),
            Event::Text(text) => forbidden(&text).map(|_| "a text has a character that XML forbids"),
            Event::Close => {
                scope.close();
                None
            }
        };
        if let Some(reason) = refused {
            return Err(malformed(reason, events.span().start));
        }
    }
    Ok(())
}

fn malformed(reason: &str, place: usize) -> XmlError {
    XmlError::new(Problem::Malformed(reason.to_owned()), place)
}

/// The prefixes that have a namespace at a place of a document.
#[derive(Default)]
struct Scope<'d> {
    /// How many of the open elements declare each.
    declared: HashMap<&'d str, usize>,
    /// Namespaces declared by each open element.
    elements: Vec<Vec<&'d str>>,
}

impl<'d> Scope<'d> {
    /// Takes in an element that has just opened. Gives the reason why it cannot be.
    fn open(&mut self, events: &Events<'d>) -> Option<&'static str> {
        let attributes: Vec<_> = events.attributes().collect();
        let declares = |(name, value): &(&'d str, String)| name.strip_prefix("xmlns:").filter(|_| !value.is_empty());
        let prefixes: Vec<_> = attributes.iter().filter_map(declares).collect();
        prefixes.iter().for_each(|prefix| *self.declared.entry(prefix).or_default() += 1);
        self.elements.push(prefixes);
        if !self.has(events.path().last()) {
            return Some("an element has no proper name, or a prefix without a namespace");
        }
        if !attributes.iter().all(|(name, _)| self.has(name)) {
            return Some("an attribute has no proper name, or a prefix without a namespace");
        }
        let is_legal = attributes.iter().all(|(_, value)| value.chars().all(is_allowed));
        (!is_legal).then_some("an attribute has a character that XML forbids")
    }

    fn close(&mut self) {
        for prefix in self.elements.pop().unwrap_or_default() {
            if let Some(count) = self.declared.get_mut(prefix) {
                *count -= 1;
            }
        }
    }

    /// Whether a name can be one here.
    fn has(&self, name: &str) -> bool {
        match name.split_once(':') {
            Some((prefix, local)) => {
                let is_declared = || self.declared.get(prefix).is_some_and(|count| *count > 0);
                is_name(prefix) && is_name(local) && (BUILT_IN.contains(&prefix) || is_declared())
            }
            None => is_name(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_nodes_parser_refuses_is_not_sent_to_it() {
        for xml in [
            "<m>\u{b}</m>",
            "<m>&#11;</m>",
            "<m>\u{fffe}</m>",
            "<m a='\u{1}'/>",
            "<m a='&#11;'/>",
            "<m><!-- \u{b} --></m>",
            "<m><?p \u{b}?></m>",
            "<1m/>",
            "<m><-/></m>",
            "<m 1a='x'/>",
            "<x:m/>",
            "<m><:a/></m>",
            "<m x:a='1'/>",
            "<m><b xmlns:x='u'/><x:a/></m>",
            "<m><!-- xmlns:x='u' --><x:a/></m>",
            "<m>xmlns:x='u'<x:a/></m>",
            "<m xmlns:x=''><x:a/></m>",
            "<m>&nbsp;</m>",
            "<!DOCTYPE m><m/>",
            "<m",
        ] {
            taken_by_nodes(xml.as_bytes()).expect_err(xml);
        }
    }

    #[test]
    fn what_it_takes_is_sent() {
        for xml in [
            "<m>\t\r\n&#10;<ü.1-a/><![CDATA[{}]]></m>",
            "<?xml version='1.0'?><x:m xmlns:x='urn:x'><x:a x:b='1'/></x:m>",
            "<m><a xmlns:x = \"u\"><x:b><c xmlns:x='v'/><x:d/></x:b></a></m>",
            "<m xml:lang='de' xmlns='urn:m'><xml:a/></m>",
        ] {
            taken_by_nodes(xml.as_bytes()).expect(xml);
        }
    }
}
