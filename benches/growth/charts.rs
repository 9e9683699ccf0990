//! The figures as charts: one file each, in SVG.

use crate::cluster::Cost;
use crate::memory::Memory;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (640, 360);
const LINES: [RGBColor; 2] = [RGBColor(0x1f, 0x6f, 0xb4), RGBColor(0xc7, 0x52, 0x1c)];

/// A line: its name, and its points by members.
type Line = (&'static str, Vec<(f64, f64)>);

/// Writes all charts into `directory`, which is made if need be.
pub(crate) fn write(directory: &Path, costs: &[Cost], kept: &[Memory]) {
    std::fs::create_dir_all(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let of = |figure: fn(&Cost) -> f64| costs.iter().map(|c| (c.members as f64, figure(c))).collect();
    let idle = [
        ("bytes sent", of(|c| c.idle.bytes)),
        ("processor, us (the simulator's too)", of(|c| c.idle.cpu_us)),
    ];
    let change = [
        ("bytes sent", of(|c| c.change.bytes)),
        ("processor, us (the simulator's too)", of(|c| c.change.cpu_us)),
    ];
    let memory = |figure: fn(&Memory) -> f64| kept.iter().map(|m| (m.members as f64, figure(m))).collect();
    let memory = [
        ("bytes for a member", memory(|m| m.for_member)),
        ("bytes for an instance with a check", memory(|m| m.for_instance)),
    ];
    for (name, title, lines) in [
        ("idle", "An idle agent, in a second", &idle),
        ("change", "A change of one instance, in each agent", &change),
        ("memory", "What an agent keeps", &memory),
    ] {
        let path = directory.join(format!("growth-{name}.svg"));
        chart(&path, title, lines).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        eprintln!("{}", path.display());
    }
}

fn chart(path: &Path, title: &str, lines: &[Line]) -> Result<(), Box<dyn std::error::Error>> {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let most = points().map(|p| p.1).fold(1.0, f64::max);
    let members = points().map(|p| p.0).fold(10.0, f64::max);
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d((10.0..members * 1.1).log_scale(), 0.0..most * 1.15)?;
    chart.configure_mesh().x_desc("members").disable_x_mesh().light_line_style(WHITE).draw()?;
    for ((name, points), color) in lines.iter().zip(LINES) {
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
        chart.draw_series(points.iter().map(|p| Circle::new(*p, 3, color.filled())))?;
    }
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .position(SeriesLabelPosition::UpperLeft)
        .draw()?;
    area.present()?;
    Ok(())
}
