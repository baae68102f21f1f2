//! One page of the list endpoint.

use alloc::{string::String, vec::Vec};

use bytestring::ByteString;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    frame::{JsonShape, RawJson, detached},
    io::HttpResponse,
};

/// A page with more entries than this is not what was asked for.
const PAGE_ENTRIES_LIMIT: usize = 10_000;

pub(super) struct ReadPage {
    pub(super) frames: Vec<ByteString>,
    pub(super) has_more: bool,
    pub(super) last_id: Option<ByteString>,
}

/// Takes a page apart; `None` when it is none.
pub(super) fn read_page(response: &HttpResponse) -> Option<ReadPage> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
        has_more: bool,
        #[serde(borrow, default)]
        last_id: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Id {
        uuid: Option<String>,
    }
    let text = ByteString::try_from(response.body.clone()).ok()?;
    let body = RawJson::parse(text.clone()).ok()?;
    if body.shape() != JsonShape::Object {
        return None;
    }
    let page: Wire<'_> = serde_json::from_str(&text).ok()?;
    if page.data.len() > PAGE_ENTRIES_LIMIT {
        return None;
    }
    let named = page
        .last_id
        .and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let last = page
        .data
        .iter()
        .rev()
        .find_map(|raw| serde_json::from_str::<Id>(raw.get()).ok()?.uuid);
    Some(ReadPage {
        frames: page
            .data
            .iter()
            .map(|raw| detached(text.slice_ref(raw.get()), text.len()))
            .collect(),
        has_more: page.has_more,
        last_id: named.or(last).map(ByteString::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_with_far_more_than_was_asked_for_is_none() {
        for (entries, is_page) in [(10_000, true), (10_001, false), (20_000, false)] {
            let data = alloc::vec!["{}"; entries].join(",");
            let response = HttpResponse {
                status: 200,
                retry_after: None,
                body: alloc::format!(r#"{{"data":[{data}],"has_more":false}}"#).into(),
            };
            assert_eq!(read_page(&response).is_some(), is_page, "{entries}");
        }
    }
}
