//! Where frames end in what a server sends.

use crate::conformance::fault::LinkKind;

/// Follows the frames of a link: those of a WebSocket, or the chunks of a stream.
#[derive(Debug)]
pub(super) struct Framing {
    link: Option<LinkKind>,
    /// The head of the present frame, as far as it has come.
    head: Vec<u8>,
    /// What is still to come of the present frame.
    left: usize,
}

impl Framing {
    /// Without a link, any place is as good as another.
    pub(super) fn new(link: Option<LinkKind>) -> Self {
        Self {
            link,
            head: Vec::new(),
            left: 0,
        }
    }

    /// Goes on by these bytes. Where in them the last frame ended, if one did.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        let Some(link) = self.link else {
            return Some(bytes.len());
        };
        let mut end = None;
        let mut place = 0;
        while let Some(byte) = bytes.get(place) {
            if self.left > 0 {
                let taken = self.left.min(bytes.len() - place);
                self.left -= taken;
                place += taken;
            } else {
                self.head.push(*byte);
                place += 1;
                let Some(length) = body_length(link, &self.head) else {
                    continue;
                };
                self.left = length;
                self.head.clear();
            }
            if self.left == 0 {
                end = Some(place);
            }
        }
        end
    }
}

/// How long the body is behind this head, if the head is complete.
fn body_length(link: LinkKind, head: &[u8]) -> Option<usize> {
    match link {
        LinkKind::Stream => {
            let digits = head.strip_suffix(b"\r\n")?;
            let size = usize::from_str_radix(&String::from_utf8_lossy(digits), 16);
            Some(size.unwrap_or_default() + 2)
        }
        LinkKind::Socket => match *head {
            [_, length] if length < 126 => Some(usize::from(length)),
            [_, 126, high, low] => Some(usize::from(u16::from_be_bytes([high, low]))),
            [_, 127, ref length @ ..] => {
                usize::try_from(u64::from_be_bytes(length.try_into().ok()?)).ok()
            }
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_websocket_frame_is_found_wherever_it_is_cut() {
        let mut long = vec![0x81, 126, 1, 0];
        long.extend([b'x'; 256]);
        let whole = [&[0x81, 2, b'h', b'i'][..], &long, &[0x89, 0]].concat();
        let ends = [4, 4 + 260, 4 + 260 + 2];

        for cut in 1..whole.len() {
            let mut framing = Framing::new(Some(LinkKind::Socket));
            let (before, after) = whole.split_at(cut);
            let last = ends.iter().copied().filter(|end| *end <= cut).max();
            assert_eq!(framing.advance(before), last, "{cut}");
            assert_eq!(framing.advance(after), Some(after.len()), "{cut}");
        }
    }

    #[test]
    fn the_end_of_a_chunk_is_found_wherever_it_is_cut() {
        let whole = b"5\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n";
        for cut in 1..whole.len() {
            let mut framing = Framing::new(Some(LinkKind::Stream));
            let (before, after) = whole.split_at(cut);
            let expected = (cut >= 10).then_some(10);
            assert_eq!(framing.advance(before), expected, "{cut}");
            assert_eq!(framing.advance(after), Some(after.len()), "{cut}");
        }
    }
}
