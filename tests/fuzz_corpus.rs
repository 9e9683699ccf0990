//! The corpora of `fuzz/`, replayed: what was once found stays fixed.

use shoal::fuzzing::TARGETS;
use std::fs;
use std::path::Path;

/// Corpora are minimised; this much is enough for all of them.
const BYTES_MAX: usize = 200 * 1024;

#[test]
fn what_fuzzing_knows_breaks_nothing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut bytes = 0;
    for (name, target) in TARGETS {
        let dir = root.join(name);
        let files = fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        let mut paths: Vec<_> = files.map(|f| f.expect("can be listed").path()).collect();
        paths.sort_unstable();
        assert!(paths.len() >= 5, "{name} has {} inputs", paths.len());
        for path in paths {
            let data = fs::read(&path).expect("can be read");
            bytes += data.len();
            // Printed if the target panics.
            println!("{}", path.display());
            target(&data);
        }
    }
    assert!(bytes <= BYTES_MAX, "{bytes} bytes of corpora: minimise them (fuzz/README.md)");
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = |dir: &str| {
        let files = fs::read_dir(root.join(dir)).expect("can be listed");
        let stem = |f: std::io::Result<fs::DirEntry>| {
            let path = f.expect("can be listed").path();
            path.file_stem().expect("has a name").to_string_lossy().into_owned()
        };
        let mut names: Vec<String> = files.map(stem).collect();
        names.sort_unstable();
        names
    };
    let mut wanted: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    wanted.sort_unstable();
    assert_eq!(names("fuzz_targets"), wanted);
    assert_eq!(names("corpus"), wanted);
}
