//! How long it takes to find out what a frame is for, side by side with `serde_json`.

use attache_benches::classification::{Message, Reader, messages};
use divan::{Bencher, black_box, counter::BytesCount};

fn main() {
    divan::main();
}

#[divan::bench(args = messages())]
fn attache(bencher: Bencher<'_, '_>, message: &Message) {
    read(bencher, Reader::Attache, message);
}

#[divan::bench(args = messages())]
fn serde_json_envelope(bencher: Bencher<'_, '_>, message: &Message) {
    read(bencher, Reader::Envelope, message);
}

#[divan::bench(args = messages())]
fn serde_json_value(bencher: Bencher<'_, '_>, message: &Message) {
    read(bencher, Reader::Tree, message);
}

fn read(bencher: Bencher<'_, '_>, reader: Reader, message: &Message) {
    bencher
        .counter(BytesCount::of_str(&*message.text))
        .bench(|| reader.read(black_box(&message.text)));
}
