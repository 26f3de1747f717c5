//! The screen of a pseudo terminal as an SVG.

use std::fmt::Write;

/// Pixels of a cell; a monospaced font of 14 pixels is 8.4 wide.
const WIDTH: f32 = 8.4;
const HEIGHT: f32 = 18.0;

/// Around the screen.
const MARGIN: f32 = 12.0;

/// Legible on light and dark pages: it has its own ground.
const GROUND: &str = "#16181d";
const TEXT: &str = "#d7dae0";

/// Every cell of `screen`, runs of one style together.
pub fn svg(screen: &vt100::Screen, about: &str) -> String {
    let (rows, columns) = screen.size();
    let (rows, columns) = (rows.get(), columns.get());
    let (width, height) = (
        f32::from(columns) * WIDTH + 2.0 * MARGIN,
        f32::from(rows) * HEIGHT + 2.0 * MARGIN,
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n\
         <title>{about}</title>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{GROUND}\"/>\n\
         <g font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\" xml:space=\"preserve\">\n"
    );
    for row in 0..rows {
        let mut column = 0;
        while column < columns {
            let from = column;
            let style = style(screen, row, column);
            let mut text = String::new();
            while column < columns && self::style(screen, row, column) == style {
                let cell = screen.cell(row, column).unwrap();
                text.push_str(match cell.contents() {
                    _ if cell.is_wide_continuation() => "",
                    "" => " ",
                    shown => shown,
                });
                column += 1;
            }
            draw(&mut svg, (from, row, column - from), &text, style);
        }
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// Colour of the text, and whether it is dim, and whether text and ground are exchanged.
type Style = (&'static str, bool, bool);

fn style(screen: &vt100::Screen, row: u16, column: u16) -> Style {
    let cell = screen.cell(row, column).unwrap();
    let color = match cell.fgcolor() {
        vt100::Color::Idx(1) => "#ff7b72",
        vt100::Color::Idx(2) => "#7ee787",
        vt100::Color::Idx(3) => "#e3b341",
        _ => TEXT,
    };
    (color, cell.dim(), cell.inverse())
}

fn draw(svg: &mut String, (column, row, cells): (u16, u16, u16), text: &str, style: Style) {
    let (color, is_dim, is_inverse) = style;
    let (x, y) = (
        MARGIN + f32::from(column) * WIDTH,
        MARGIN + f32::from(row) * HEIGHT,
    );
    let width = f32::from(cells) * WIDTH;
    if is_inverse {
        writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" fill=\"{color}\"/>"
        )
        .unwrap();
    }
    if text.trim().is_empty() {
        return;
    }
    let fill = if is_inverse { GROUND } else { color };
    let opacity = if is_dim { " opacity=\"0.6\"" } else { "" };
    let escaped = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    // The length is that of the cells, whatever font there is.
    writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" fill=\"{fill}\"{opacity}>{escaped}</text>",
        y + 13.5
    )
    .unwrap();
}
