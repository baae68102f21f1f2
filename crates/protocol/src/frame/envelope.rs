//! The fields of a frame that say what it is for.

use alloc::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{Lenient, MalformedJson, object};

/// The routing fields of a frame; whatever their type, they never fail the whole frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope<T> {
    pub(super) type_name: Option<T>,
    pub(super) uuid: Option<T>,
    pub(super) request_id: Option<T>,
    pub(super) request: Inner<T>,
    pub(super) response: Inner<T>,
}

/// The routing fields one level down, in `request` or `response`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Inner<T> {
    pub(super) subtype: Option<T>,
    pub(super) request_id: Option<T>,
}

impl<'a> Envelope<Cow<'a, str>> {
    /// Reads the JSON object `text`, all of it, by way of `serde_json`.
    pub(super) fn parse(text: &'a str) -> Result<Self, MalformedJson> {
        let outer: Outer<'_> = object(text)?;
        Ok(Self {
            type_name: outer.type_name.0,
            uuid: outer.uuid.0,
            request_id: outer.request_id.0,
            request: Inner::parse(outer.request),
            response: Inner::parse(outer.response),
        })
    }
}

impl<'a> Inner<Cow<'a, str>> {
    fn parse(raw: Option<&'a RawValue>) -> Self {
        let fields: Option<InnerFields<'_>> = raw.and_then(|raw| object(raw.get()).ok());
        fields.map_or_else(Self::default, |fields| Self {
            subtype: fields.subtype.0,
            request_id: fields.request_id.0,
        })
    }
}

/// What stands before and behind the value of `uuid`, whatever that is.
pub(super) fn around_uuid(text: &str) -> Option<(&str, &str)> {
    #[derive(Deserialize)]
    struct Stated<'a> {
        #[serde(borrow)]
        uuid: &'a RawValue,
    }
    let value = object::<Stated<'_>>(text).ok()?.uuid.get();
    let start = value.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let (before, rest) = text.split_at_checked(start)?;
    Some((before, rest.strip_prefix(value)?))
}

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(rename = "type", borrow, default)]
    type_name: Lenient<'a>,
    #[serde(borrow, default)]
    uuid: Lenient<'a>,
    #[serde(borrow, default)]
    request_id: Lenient<'a>,
    #[serde(borrow, default)]
    request: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct InnerFields<'a> {
    #[serde(borrow, default)]
    subtype: Lenient<'a>,
    #[serde(borrow, default)]
    request_id: Lenient<'a>,
}

#[cfg(test)]
mod tests {
    use alloc::{
        format,
        string::{String, ToString},
        vec,
        vec::Vec,
    };

    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::frame::scan;

    /// The scan and the parser say the same of `text`, unless the scan leaves it to the parser.
    fn agree(text: &str) -> bool {
        match scan::envelope(text) {
            Some(found) => Envelope::parse(text).is_ok_and(|parsed| parsed.borrowed() == found),
            None => true,
        }
    }

    impl Envelope<Cow<'_, str>> {
        fn borrowed(&self) -> Envelope<&str> {
            Envelope {
                type_name: self.type_name.as_deref(),
                uuid: self.uuid.as_deref(),
                request_id: self.request_id.as_deref(),
                request: self.request.borrowed(),
                response: self.response.borrowed(),
            }
        }
    }

    impl Inner<Cow<'_, str>> {
        fn borrowed(&self) -> Inner<&str> {
            Inner {
                subtype: self.subtype.as_deref(),
                request_id: self.request_id.as_deref(),
            }
        }
    }

    #[test]
    fn fields_are_found_wherever_they_stand() {
        let text = r#" { "a": {"type": "no", "uuid": [1, {"uuid": "no"}]}, "uuid" : "u1",
            "request":{"x":[],"subtype":"can_use_tool","input":{"subtype":"no"}},
            "n": -1.5e+3, "type":"control_request", "response": null, "request_id":"r1" } "#;

        let found = scan::envelope(text).unwrap();

        assert_eq!(found.type_name, Some("control_request"));
        assert_eq!(found.uuid, Some("u1"));
        assert_eq!(found.request_id, Some("r1"));
        assert_eq!(found.request.subtype, Some("can_use_tool"));
        assert_eq!(found.request.request_id, None);
        assert_eq!(found.response, Inner::default());
        assert!(agree(text));
    }

    #[test]
    fn the_scan_has_no_doubts_about_what_agents_usually_say() {
        let texts = [
            r#"{"type":"keep_alive"}"#,
            r#"{"type":"assistant","message":{"content":[{"type":"text","text":"a \"b\" \u00e9 \n é 漢字"}]},"uuid":null}"#,
            r#"{"type":"result","num_turns":-1,"total_cost_usd":0.25e-2,"ok":true,"no":false,"e":{},"f":[]}"#,
            r#"{"type":"control_response","response":{"subtype":"success","request_id":"r1","response":{}}}"#,
            "{}",
        ];
        for text in texts {
            assert!(scan::envelope(text).is_some(), "{text}");
            assert!(agree(text), "{text}");
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_the_parser() {
        let deep = format!(
            "{{\"type\":\"a\",\"b\":{}{}}}",
            "[".repeat(70),
            "]".repeat(70)
        );
        let texts = [
            r#"{"type":"a\u0062"}"#,
            r#"{"ty\u0070e":"a"}"#,
            r#"{"type":"a","uuid":5}"#,
            r#"{"type":"a","type":"b"}"#,
            r#"{"type":"a","request":{"subtype":"b","subtype":"c"}}"#,
            &deep,
        ];
        for text in texts {
            assert_eq!(scan::envelope(text), None, "{text}");
        }
        assert!(Envelope::parse(&deep).is_ok());
        let escaped = Envelope::parse(texts[0]).unwrap();
        assert_eq!(escaped.type_name.as_deref(), Some("ab"));
    }

    #[test]
    fn every_place_in_a_long_string_can_end_it() {
        for length in 0..200 {
            for end in [
                "\"", "\\\"", "\\u12aF", "\\u12g0", "\\x", "\u{1}", "\n", "\u{7f}", "é", "\u{2028}",
            ] {
                let string = format!("{}{end}", "x".repeat(length));
                for text in [
                    format!("{{\"type\":\"{string}\"}}"),
                    format!("{{\"type\":\"t\",\"a\":\"{string}\"}}"),
                    format!("{{\"{string}\":1,\"type\":\"t\"}}"),
                    format!("{{\"type\":\"t\",\"a\":[{{\"{string}"),
                ] {
                    assert!(agree(&text), "{text}");
                }
            }
        }
    }

    /// Pieces that make a text nearly JSON.
    fn nearly_json() -> impl Strategy<Value = String> {
        let pieces = vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            " ",
            "\n",
            "\t",
            "0",
            "7",
            "-",
            "+",
            ".",
            "e",
            "E",
            "1e999",
            "true",
            "false",
            "null",
            "nul",
            "\"type\":",
            "\"uuid\":",
            "\"request_id\":",
            "\"request\":",
            "\"response\":",
            "\"subtype\":",
            "\"a\"",
            "\"b\\n\"",
            "\"\\ud800\"",
            "\"\\u00zz\"",
            "\u{1}",
            "\u{a0}",
            "{}",
            "[]",
            "é",
            "{\"type\":\"a\",",
            "\"x\":1,",
            "12",
            "-0",
            "01",
            "1.",
            "\"aaaaaaaaaaaaaaaaaaaa\"",
        ];
        prop::collection::vec(select(pieces), 0..24).prop_map(|pieces| pieces.concat())
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let names = [
            "type",
            "uuid",
            "request_id",
            "request",
            "response",
            "subtype",
            "a",
            "",
        ];
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
            "[a-z]{0,90}".prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::vec((select(names.to_vec()), inner), 0..6).prop_map(|fields| {
                    let fields = fields
                        .into_iter()
                        .map(|(name, value)| (String::from(name), value));
                    serde_json::Value::Object(fields.collect())
                }),
            ]
        })
    }

    /// `text` with one byte's worth of damage.
    fn damaged(text: &str, place: prop::sample::Index, with: &str) -> String {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let Some(at) = (!places.is_empty()).then(|| places[place.index(places.len())]) else {
            return with.into();
        };
        let (before, after) = text.split_at(at);
        let mut rest = after.chars();
        rest.next();
        format!("{before}{with}{}", rest.as_str())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn the_scan_never_differs_from_the_parser(text in nearly_json()) {
            prop_assert!(agree(&text));
            let framed = format!("{{\"type\":\"a\",\"b\":{text}}}");
            prop_assert!(agree(&framed));
        }

        #[test]
        fn neither_on_json_nor_on_damaged_json(
            value in json(),
            is_pretty in any::<bool>(),
            place in any::<prop::sample::Index>(),
            with in select(vec!["", "\"", "\\", "{", "}", "]", ",", "0", "\u{2}", "e", "."]),
        ) {
            let text = if is_pretty { format!("{value:#}") } else { value.to_string() };
            prop_assert!(agree(&text));
            prop_assert!(agree(&damaged(&text, place, with)));
        }
    }
}
