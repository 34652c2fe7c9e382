//! XML as the Query protocol has it: elements and text, nothing else.
//!
//! Not here: which elements an answer has (the actions).

use crate::model::Time;
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

/// botocore 1.44.5, iam service model: `xmlNamespace`.
const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// An answer's elements, written one behind the other. Writing to memory never fails.
pub struct Xml(Writer<Vec<u8>>);

impl Default for Xml {
    fn default() -> Self {
        Self(Writer::new(Vec::with_capacity(1024)))
    }
}

impl Xml {
    fn write(&mut self, event: Event<'_>) {
        let written = self.0.write_event(event);
        debug_assert!(written.is_ok());
    }

    /// An element with what `inside` writes.
    pub fn element(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.write(Event::Start(BytesStart::new(name)));
        inside(self);
        self.write(Event::End(BytesEnd::new(name)));
    }

    /// An element with text. What XML cannot hold becomes U+FFFD.
    pub fn text(&mut self, name: &str, text: &str) {
        let is_xml =
            |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        self.write(Event::Start(BytesStart::new(name)));
        if text.chars().all(is_xml) {
            self.write(Event::Text(BytesText::new(text)));
        } else {
            let clean: String = text.chars().map(|c| if is_xml(c) { c } else { '\u{fffd}' }).collect();
            self.write(Event::Text(BytesText::new(&clean)));
        }
        self.write(Event::End(BytesEnd::new(name)));
    }

    pub fn number(&mut self, name: &str, number: impl std::fmt::Display) {
        self.text(name, &number.to_string());
    }

    pub fn flag(&mut self, name: &str, flag: bool) {
        self.text(name, if flag { "true" } else { "false" });
    }

    /// To the second, in UTC.
    pub fn date(&mut self, name: &str, time: Time) {
        self.text(name, &date(time));
    }

    /// `<name><member>…</member>…</name>`.
    pub fn list<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut Self, T)) {
        self.element(name, |xml| {
            for item in items {
                xml.element("member", |xml| each(xml, item));
            }
        });
    }

    /// A list of texts.
    pub fn texts<T: AsRef<str>>(&mut self, name: &str, items: impl IntoIterator<Item = T>) {
        self.element(name, |xml| {
            for item in items {
                xml.text("member", item.as_ref());
            }
        });
    }

    fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner()
    }
}

/// `2026-11-26T02:40:04Z`.
pub fn date(time: Time) -> String {
    Time::from_seconds(time.0.div_euclid(1_000_000_000)).to_string()
}

/// What an action that went well answers. `result`: none of an action without output.
pub fn success(action: &str, request_id: &str, result: Option<Xml>) -> Vec<u8> {
    let mut xml = Xml::default();
    let name = format!("{action}Response");
    xml.write(Event::Start(BytesStart::new(name.as_str()).with_attributes([("xmlns", NAMESPACE)])));
    if let Some(result) = result {
        let bytes = result.into_bytes();
        xml.element(&format!("{action}Result"), |xml| xml.0.get_mut().extend_from_slice(&bytes));
    }
    xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    xml.write(Event::End(BytesEnd::new(name.as_str())));
    xml.into_bytes()
}

/// What an action that went wrong answers.
pub fn failure(status: u16, code: &str, message: &str, request_id: &str) -> Vec<u8> {
    let mut xml = Xml::default();
    xml.write(Event::Start(BytesStart::new("ErrorResponse").with_attributes([("xmlns", NAMESPACE)])));
    xml.element("Error", |xml| {
        xml.text("Type", if status < 500 { "Sender" } else { "Receiver" });
        xml.text("Code", code);
        xml.text("Message", message);
    });
    xml.text("RequestId", request_id);
    xml.write(Event::End(BytesEnd::new("ErrorResponse")));
    xml.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_shape_that_clients_parse() {
        let mut result = Xml::default();
        result.list("Users", ["a<b", "c\u{1}"], |xml, name| xml.text("UserName", name));
        result.flag("IsTruncated", false);
        assert_eq!(
            String::from_utf8(success("ListUsers", "id-1", Some(result))).unwrap(),
            "<ListUsersResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ListUsersResult><Users><member><UserName>a&lt;b\
             </UserName></member><member><UserName>c\u{fffd}</UserName></member></Users><IsTruncated>false</IsTruncated>\
             </ListUsersResult><ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></ListUsersResponse>"
        );
        let text = String::from_utf8(failure(409, "LimitExceeded", "a & b", "id-2")).unwrap();
        assert!(text.contains(
            "<Type>Sender</Type><Code>LimitExceeded</Code><Message>a &amp; b</Message></Error><RequestId>id-2"
        ));
        assert_eq!(date(Time(1_500_000_000)), "1970-01-01T00:00:01Z");
    }
}
