//! A record as a picture: bars of CPU time with whiskers, a panel for each kind of frame.

use std::fmt::Write as _;

use crate::{client::Client, frames::Kind, record::Record};

const WIDTH: f64 = 860.0;
/// Where the bars begin, and how long the longest may be.
const LEFT: f64 = 190.0;
const LONGEST: f64 = 520.0;
const ROW: f64 = 26.0;
const BAR: f64 = 16.0;
/// Above and below the rows of a panel.
const PANEL_HEAD: f64 = 54.0;

/// The picture, as SVG.
pub(crate) fn svg(record: &Record) -> String {
    let mut body = String::new();
    let mut top = 0.0;
    for kind in Kind::ALL {
        top += panel(&mut body, record, kind, top);
    }
    let height = top + 34.0;
    let foot = escaped(&format!(
        "CPU time of the whole client process; median of rounds, whiskers: least and most. {}.",
        record.machine
    ));
    let note = height - 12.0;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="13" fill="#1f2328">
<rect width="100%" height="100%" fill="#ffffff"/>
{body}<text x="12" y="{note}" font-size="11" fill="#59636e">{foot}</text>
</svg>
"##
    )
}

/// Adds a panel at `top`; how high it is.
fn panel(body: &mut String, record: &Record, kind: Kind, top: f64) -> f64 {
    let rows: Vec<_> = Client::ALL
        .into_iter()
        .filter_map(|client| {
            let cpu = record.line(client, kind)?.cpu_ns()?;
            Some((client, cpu, record.ratio(client, kind)?))
        })
        .collect();
    let most = rows.iter().map(|(_, cpu, _)| cpu.most).fold(1.0, f64::max);
    let x = |ns: f64| LEFT + ns / most * LONGEST;
    line(
        body,
        &format!(
            r#"<text x="12" y="{:.0}" font-size="15" font-weight="600">CPU nanoseconds a message: {}</text>"#,
            top + 32.0,
            kind.title()
        ),
    );
    for (position, (client, cpu, ratio)) in (0_u32..).zip(&rows) {
        let y = top + PANEL_HEAD + f64::from(position) * ROW;
        let (middle, base) = (y + BAR / 2.0, y + BAR - 3.5);
        let colour = match client {
            Client::Bare | Client::Value => "#8c959f",
            Client::Tokio | Client::AsyncStd | Client::Blocking | Client::Attach => "#2f81f7",
        };
        line(
            body,
            &format!(
                r##"<text x="{:.0}" y="{base:.1}" text-anchor="end">{}</text><rect x="{LEFT}" y="{y:.1}" width="{:.1}" height="{BAR}" fill="{colour}"/><path d="M{:.1} {middle:.1}H{:.1}" stroke="#1f2328" stroke-width="1.5"/><text x="{:.1}" y="{base:.1}">{:.0} ns · {:.2}×</text>"##,
                LEFT - 8.0,
                escaped(client.name().trim()),
                x(cpu.median) - LEFT,
                x(cpu.least),
                x(cpu.most),
                x(cpu.most) + 8.0,
                cpu.median,
                ratio.median,
            ),
        );
    }
    PANEL_HEAD + f64::from(u32::try_from(rows.len()).unwrap_or(u32::MAX)) * ROW
}

fn line(body: &mut String, text: &str) {
    // Writing to memory does not fail.
    let _ = writeln!(body, "{text}");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
