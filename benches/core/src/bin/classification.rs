//! Times how long it takes to find out what a frame is for, side by side with `serde_json`.

use std::hint::black_box;

use attache_benches_core::{
    classification::{Message, Reader, messages},
    side_by_side::{self, Taken},
};

fn main() {
    let readers = Reader::ALL.map(|reader| reader.to_string());
    println!("| a frame | {} |", readers.join(" | "));
    println!("|---{}|", "|--:".repeat(readers.len()));
    for message in messages() {
        let [ours, others @ ..] = time(&message);
        let others = others.map(|other| {
            let ratio = other.fastest / ours.fastest;
            format!("{:.0} ns, {ratio:.2}×", other.fastest)
        });
        let speed = f64::from(message.size()) / ours.fastest;
        println!(
            "| {message} | {:.0} ns, {speed:.1} GB/s | {} |",
            ours.fastest,
            others.join(" | ")
        );
    }
}

fn time(message: &Message) -> [Taken; 3] {
    let read = |reader: Reader| {
        move || {
            black_box(reader.read(black_box(&message.text)));
        }
    };
    let [mut ours, mut envelope, mut tree] = Reader::ALL.map(read);
    side_by_side::time([&mut ours, &mut envelope, &mut tree])
}
