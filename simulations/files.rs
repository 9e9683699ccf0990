//! The scenario files beside this one: each says something possible, and a small part of what it
//! describes is run and must keep what it expects.

use shoal::sim::Mode;
use shoal::sim::file::{Point, ScenarioFile, parse};
use std::path::{Path, PathBuf};

/// Points of one file that are run.
const POINTS_MAX: usize = 2;
/// Seeds of one file that are run.
const SEEDS_MAX: u64 = 3;

fn files() -> Vec<ScenarioFile> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("simulations");
    let entries = std::fs::read_dir(dir).expect("the directory of this file");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("a scenario file can be read");
        let name = path.file_name().expect("it has a name").to_string_lossy();
        parse(&format!("simulations/{name}"), &text).unwrap_or_else(|error| panic!("{error}"))
    };
    paths.iter().map(read).collect()
}

#[test]
fn every_file_is_valid_and_says_what_it_is_about() {
    let files = files();
    assert!(files.len() >= 13, "the twelve experiments and the swarm are there");
    for file in files {
        assert!(!file.about.is_empty(), "{} says what it is about", file.name);
        if file.name.starts_with('s') && file.name != "swarm" {
            assert!(!file.reproduces.is_empty() && !file.known.is_empty(), "{}: whose figures?", file.name);
        }
        for point in file.grid.points().iter().chain(&file.grid.sample()) {
            file.scenario(point, Mode::Shoal, 1).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

#[test]
fn the_sample_of_every_file_keeps_what_it_expects() {
    for file in files() {
        for point in few(file.grid.sample()) {
            for seed in 1..=file.sample_seeds.min(SEEDS_MAX) {
                let mut line = format!("shoal simulate simulations/{}.toml --seed {{seed}}", file.name);
                for (name, value) in point.words() {
                    line.push_str(&format!(" --set {name}={value}"));
                }
                let scenario = file.scenario(&point, Mode::Shoal, seed).expect("it was checked");
                scenario.replayed_by(&line).run(seed).assert_met();
            }
        }
    }
}

/// The first and the last: in a grid, the mildest and the worst.
fn few(mut points: Vec<Point>) -> Vec<Point> {
    if points.len() > POINTS_MAX {
        points.drain(1..points.len() - 1);
    }
    points
}
