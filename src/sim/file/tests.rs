use super::*;
use crate::sim::{Load, LoadKind};

/// A file of `count` nodes with these lines added.
fn file(lines: &str) -> Result<ScenarioFile, FileError> {
    parse("weather.toml", &format!("lasts = \"60s\"\n{lines}\n[[nodes]]\ncount = 5\n"))
}

fn build(lines: &str) -> String {
    let parsed = file(lines).unwrap_or_else(|e| panic!("{e}"));
    let point = parsed.grid.points().remove(0);
    let scenario = parsed.scenario(&point, parsed.modes[0], 7).expect("it was checked");
    format!("{scenario:?}")
}

#[test]
fn every_mistake_names_file_line_key_value_and_what_was_wanted() {
    let table = [
        ("lasts = ", "weather.toml: "),
        ("latss = \"60s\"", "weather.toml:2: unknown key latss = \"60s\": want one of"),
        ("latss = \"60s\"", "(did you mean lasts?)"),
        ("about = 7", "weather.toml:2: about = 7: want a text"),
        ("seeds = 0", "seeds = 0: want a whole number from 1 to"),
        ("modes = \"swim\"", "modes = \"swim\": want a list of"),
        ("modes = [\"swimm\"]", "modes = \"swimm\": want one of"),
        ("modes = [\"swimm\"]", "(did you mean swim?)"),
        ("modes = [\"shoal\", \"shoal\"]", "modes = \"shoal\": want one of"),
        ("calm_from = \"61s\"", "calm_from = \"61s\": want at most lasts (60s)"),
        ("sample_every = \"1ms\"", "sample_every = \"1ms\": want at least 10ms"),
        ("calm_from = 5", "calm_from = 5: want a duration such as"),
        // parameters
        ("grid_sample.n = [1]", "grid_sample = { n = [1] }: want a [grid]"),
        ("grid.n = []", "grid.n = []: want a list of numbers or texts"),
        ("grid.n = [[1]]", "grid.n = [[1]]: want a list of numbers or texts"),
        (
            "grid.n = [1]\ngrid_sample.m = [1]",
            "weather.toml:3: grid_sample.m = [1]: want a parameter of [grid]",
        ),
        ("network.loss = \"$loss\"", "network.loss = \"$loss\": want a value, because there is no [grid]"),
        ("grid.lost = [0.1]\nnetwork.loss = \"$loss\"", "want a parameter: one of lost (did you mean lost?)"),
        ("grid.l = [0.1, 2.0]\nnetwork.loss = \"$l\"", "network.loss = 2.0: want a share from 0 to 1"),
        ("grid.l = [0.1, 2.0]\nnetwork.loss = \"$l\"", "(at l=2.0)"),
        // network
        ("network.loss = 1.5", "weather.toml:2: network.loss = 1.5: want a share from 0 to 1"),
        ("network.latency = \"moon\"", "network.latency = \"moon\": want \"lan\", \"wan\""),
        ("network.latency = { min = \"2ms\", max = \"1ms\" }", "shortest first"),
        ("network.latency = { min = \"2ms\" }", "network.latency.max is not set: want a duration"),
        ("network.jitter = \"2ms\"", "network.jitter = \"2ms\": want a latency that is one duration"),
        ("network.mtu = 1", "network.mtu = 1: want a whole number from 64"),
        ("network.unreachable_reports = 1", "want true or false"),
        ("network.los = 0.1", "unknown key network.los = 0.1"),
        // faults
        ("faults = 3", "faults = 3: want a list of tables, each under [[faults]]"),
        ("[[faults]]\nat = \"1s\"", "weather.toml:2: faults.do is not set: want one of crash"),
        ("[[faults]]\nat = \"1s\"\ndo = \"crahs\"", "faults.do = \"crahs\": want one of crash"),
        ("[[faults]]\nat = \"1s\"\ndo = \"crahs\"", "(did you mean crash?)"),
        ("[[faults]]\ndo = \"crash\"\nnodes = \"n1\"", "faults.at is not set: want a duration"),
        (
            "[[faults]]\nta = \"1s\"\ndo = \"crash\"\nnodes = \"n1\"",
            "unknown key faults.ta = \"1s\": want one of at (did",
        ),
        (
            "[[faults]]\nat = \"61s\"\ndo = \"crash\"\nnodes = \"n1\"",
            "faults.at = \"61s\": want at most lasts (60s)",
        ),
        (
            "[[faults]]\nat = \"1s\"\ndo = \"crash\"",
            "faults.nodes is not set: want the nodes that it befalls",
        ),
        (
            "[[faults]]\nat = \"1s\"\ndo = \"crash\"\nnodes = \"n9\"",
            "weather.toml:5: faults.nodes = \"n9\": want a node or",
        ),
        (
            "[[faults]]\nat = \"1s\"\ndo = \"crash\"\nnodes = \"n3..n9\"",
            "want nodes that exist: there is no n5",
        ),
        ("[[faults]]\nat = \"1s\"\ndo = \"crash\"\nnodes = 3", "faults.nodes = 3: want a node, a range"),
        (
            "[[faults]]\nat = \"1s\"\ndo = \"crash\"\nnodes = \"web*\"",
            "faults.nodes = \"web*\": want at least one node",
        ),
        (
            "[[faults]]\nat = \"1s\"\ndo = \"crash\"\nnodes = { pick = 6 }",
            "faults.nodes.pick = 6: want at most 5",
        ),
        (
            "[[faults]]\nat = \"1s\"\ndo = \"crash\"\nnodes = { pick = 1, share = 0.5 }",
            "want either pick or share",
        ),
        ("[[faults]]\nat = \"1s\"\ndo = \"crash\"\nnodes = { pcik = 1 }", "want pick, share, of or except"),
        ("[[faults]]\nat = \"1s\"\ndo = \"crash\"\nnodes = \"n1#2\"", "want n1#1 to n1#1"),
        ("[[faults]]\nat = \"1s\"\ndo = \"heal\"", "faults.do = \"heal\": want a partition"),
        ("[[faults]]\nat = \"1s\"\ndo = \"resume\"\nnodes = \"n1\"", "want nodes that are paused: n1 is not"),
        (
            "[[faults]]\nat = \"1s\"\ndo = \"start\"\nnodes = \"n1\"",
            "want nodes that are down: nothing stopped n1",
        ),
        ("[[faults]]\nat = \"1s\"\ndo = \"start\"\nnodes = \"n1\"\nfor = \"1s\"", "want nodes that are down"),
        (
            "[[faults]]\nat = \"1s\"\ndo = \"set_tags\"\nnodes = \"n1\"\ntags = {a = \"b\"}\nfor = \"1s\"",
            "happens in a moment",
        ),
        (
            "[[faults]]\nat = \"1s\"\ndo = \"crash\"\nnodes = \"n1\"\nrepeat = { pause = \"1s\" }",
            "faults.for is not set: want how long",
        ),
        (
            "[[faults]]\nat = \"5s\"\ndo = \"pause\"\nnodes = \"n1\"\nfor = \"1s\"\nrepeat = { pause = \"1s\", until = \"4s\" }",
            "want from 5s",
        ),
        (
            "[[faults]]\nat = \"5s\"\ndo = \"pause\"\nnodes = \"n1\"\nfor = \"0s\"\nrepeat = { pause = \"0s\" }",
            "want a pause of more than zero",
        ),
        (
            "[[faults]]\nat = \"5s\"\ndo = \"pause\"\nnodes = \"n1\"\nfor = \"1ns\"\nrepeat = { pause = \"1ns\" }",
            "want fewer than",
        ),
        (
            "[[faults]]\nat = \"5s\"\ndo = \"partition\"\ngroups = [\"n1\", \"n1..n2\"]",
            "want each node on one side: n1 is on two",
        ),
        (
            "[[faults]]\nat = \"5s\"\ndo = \"loss_in\"\nnodes = \"n1\"",
            "faults.loss is not set: want the share",
        ),
        (
            "[[faults]]\nat = \"5s\"\ndo = \"step_clock\"\nnodes = \"n1\"\nby = \"soon\"",
            "faults.by = \"soon\": want a step such as",
        ),
        (
            "[[faults]]\nat = \"5s\"\ndo = \"clone_disk\"\nfrom = \"n1\"\nto = \"n2\"",
            "want another host that bears the same name",
        ),
        (
            "[[faults]]\nat = \"5s\"\ndo = \"force_leave\"\nby = \"n1..n2\"\nnodes = \"n3\"",
            "faults.by = \"n1..n2\": want one node, not 2",
        ),
        (
            "[[faults]]\nat = \"5s\"\ndo = \"hostile\"\nnodes = \"n1\"\nkind = \"evil\"",
            "faults.kind = \"evil\": want one of random",
        ),
        // load
        ("[[load]]\ndo = \"register\"", "load.every is not set: want time between commands"),
        ("[[load]]\ndo = \"regster\"\nevery = \"1s\"", "(did you mean register or deregister?)"),
        ("[[load]]\ndo = \"flap\"\nevery = \"1s\"\nrate = 4", "load.rate = 4: want either every or rate"),
        ("[[load]]\ndo = \"flap\"\nevery = \"0s\"", "load.every = \"0s\": want a duration of more than zero"),
        (
            "[[load]]\ndo = \"flap\"\nevery = \"1s\"\nfrom = \"2m\"",
            "load.from = \"2m\": want at most lasts (60s)",
        ),
        (
            "[[load]]\ndo = \"flap\"\ncount = 5\nlasts = \"2s\"",
            "load.lasts = \"2s\": want every or rate beside it",
        ),
        // groups and expectations
        ("groups.n1 = \"n2\"", "groups.n1 = \"n2\": want a group whose name is not that of a node"),
        (
            "expect.detectd_full_p99 = \"< 5s\"",
            "expect.detectd_full_p99 = \"< 5s\": want a figure: one of converged_within",
        ),
        ("expect.detectd_full_p99 = \"< 5s\"", "(did you mean detected_full_p99"),
        (
            "expect.detected_full_p99 = \"fast\"",
            "expect.detected_full_p99 = \"fast\": want a number, or a text such as",
        ),
        ("expect.converged_within = 5", "expect.converged_within = 5: want a duration"),
        ("expect.swim.flase_failures = 5", "expect.swim.flase_failures = 5: want a figure"),
        ("swarm = true", "unknown key lasts = \"60s\""),
    ];
    for (lines, want) in table {
        let error = file(lines).err().unwrap_or_else(|| panic!("{lines:?} was taken")).to_string();
        assert!(error.contains(want), "{lines:?} said {error:?}, want {want:?}");
    }
}

#[test]
fn mistakes_about_nodes_are_told() {
    let table = [
        ("", "weather.toml:1: nodes is not set: want at least one node"),
        ("[[nodes]]\ncount = -1", "nodes.count = -1: want a whole number from 0"),
        ("[[nodes]]\ncount = 0", "want at least one node"),
        ("[[nodes]]\nprofile = \"lan\"", "nodes.count is not set: want how many nodes, or the name of one"),
        ("[[nodes]]\nname = \"a b\"", "nodes.name = \"a b\": want 1 to 128 letters"),
        ("[[nodes]]\nnames = [\"a\", 3]", "nodes.names = 3: want 1 to 128 letters"),
        ("[[nodes]]\nnames = [\"a\"]\ncount = 2", "want either names, or count with name"),
        ("[[nodes]]\ncount = 2\nprofile = \"moon\"", "nodes.profile = \"moon\": want one of lan, wan, local"),
        ("[[nodes]]\ncount = 2\nsettings.porbe_interval = \"1s\"", "want a setting: one of probe_interval"),
        ("[[nodes]]\ncount = 2\nsettings.porbe_interval = \"1s\"", "(did you mean probe_interval"),
        (
            "[[nodes]]\ncount = 2\nsettings.probe_interval = 1",
            "nodes.settings.probe_interval = 1: want a duration",
        ),
        (
            "[[nodes]]\ncount = 2\nsettings.gossip_fanout = \"x\"",
            "nodes.settings.gossip_fanout = \"x\": want a whole number",
        ),
        (
            "[[nodes]]\ncount = 2\nsettings.gossip_fanout = 0",
            "nodes.settings.gossip_fanout = 0: want 1 to 16",
        ),
        (
            "[[nodes]]\ncount = 2\nsettings.probe_timeout = \"2s\"",
            "nodes.settings.probe_timeout = 2s: want less than probe_interval (1s)",
        ),
        ("[[nodes]]\ncount = 2\nstart = \"soon\"", "nodes.start = \"soon\": want a time such as"),
        (
            "[[nodes]]\ncount = 2\nstart = \"settled\"\nramp = \"1s\"",
            "nodes.ramp = \"1s\": want a start at a time",
        ),
        (
            "[[nodes]]\ncount = 2\napart = \"1s\"\nramp = \"1s\"",
            "nodes.ramp = \"1s\": want either apart or ramp",
        ),
        (
            "[[nodes]]\ncount = 2\nstart = \"2m\"",
            "lasts = \"60s\": want at least 120s, when the last node starts",
        ),
        ("[[nodes]]\ncount = 2\njoin = \"n7\"", "nodes.join = \"n7\": want a node or group that exists"),
        (
            "[[nodes]]\ncount = 2\njoin = \"10.0.0.1:x\"",
            "nodes.join = \"10.0.0.1:x\": want nodes, \"spread\", or addresses",
        ),
        ("[[nodes]]\ncount = 2\nservices = -1", "nodes.services = -1: want a number from 0"),
        ("[[nodes]]\ncount = 2\nservices.name = \"\"", "nodes.services.name = \"\": want a service name"),
        ("[[nodes]]\ncount = 2\ntags.rack = 1", "nodes.tags.rack = 1: want a text"),
        ("[[nodes]]\ncount = 2\ncolour = 1", "weather.toml:4: unknown key nodes.colour = 1"),
    ];
    for (lines, want) in table {
        let text = format!("lasts = \"60s\"\n{lines}\n");
        let error = parse("weather.toml", &text).err().unwrap_or_else(|| panic!("{lines:?} was taken"));
        assert!(error.to_string().contains(want), "{lines:?} said {error}, want {want:?}");
    }
}

#[test]
fn a_file_says_all_that_a_scenario_can() {
    let text = include_str!("tests/everything.toml");
    let parsed = parse("simulations/everything.toml", text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((parsed.name.as_str(), parsed.seeds), ("everything", 3));
    assert_eq!(parsed.grid.points().len(), 6);
    assert_eq!(parsed.grid.sample().len(), 1);
    let point = parsed.grid.sample().remove(0);
    assert_eq!(point.to_string(), "blocked=2 far=wan");
    let built = |seed| format!("{:?}", parsed.scenario(&point, parsed.modes[0], seed).expect("checked"));
    assert_eq!(built(1), built(1), "the seed decides all of it");
    assert_ne!(built(1), built(2), "and another seed picks others");
}

#[test]
fn a_fault_that_is_repeated_begins_and_ends_each_time() {
    let built = build(
        "[[faults]]\nat = \"10s\"\ndo = \"pause\"\nnodes = \"n1\"\nfor = \"2s\"\nrepeat = { pause = \"3s\", until = \"21s\" }",
    );
    for what in [
        "(10s, Pause(HostId(1)))",
        "(12s, Resume",
        "(15s, Pause",
        "(17s, Resume",
        "(20s, Pause",
        "(22s, Resume",
    ] {
        assert!(built.contains(what), "{what} in {built}");
    }
    assert!(!built.contains("(25s, Pause"), "{built}");
}

#[test]
fn without_a_word_about_calm_it_begins_after_the_last_thing() {
    let built = build("[[load]]\ndo = \"flap\"\nfrom = \"3s\"\nevery = \"1s\"\nlasts = \"20s\"");
    assert!(built.contains("calm: Some(23s)"), "{built}");
    let load = Load {
        hosts: (0..5).map(HostId).collect(),
        kind: LoadKind::Flap,
        every: Duration::from_secs(1),
        lasts: Duration::from_secs(20),
        at_once: 1,
    };
    assert!(built.contains(&format!("{load:?}")), "{built}");
}

#[test]
fn a_parameter_can_be_fixed_at_a_value_of_ones_own() {
    let parsed = file("grid.loss = [0.1, 0.2]\nnetwork.loss = \"$loss\"").expect("valid");
    let grid = parsed.grid.clone().fixed("loss", "0.35").expect("it exists");
    assert_eq!(grid.points().len(), 1);
    let built = parsed.scenario(&grid.points()[0], parsed.modes[0], 1).expect("valid");
    assert!(format!("{built:?}").contains("loss: 0.35"));
    let error = grid.fixed("lost", "1").expect_err("unknown");
    assert_eq!(error, "a parameter: one of loss (did you mean loss?)");
    let wild = parsed.grid.clone().fixed("loss", "7").expect("it exists");
    let error = parsed.scenario(&wild.points()[0], parsed.modes[0], 1).expect_err("not a share");
    assert_eq!(
        error.to_string(),
        "weather.toml:3: network.loss = 7: want a share from 0 to 1, such as 0.05 (at loss=7)"
    );
}

#[test]
fn a_settled_cluster_runs_and_keeps_what_is_expected() {
    let parsed = file(
        "[[faults]]\nat = \"5s\"\ndo = \"crash\"\nnodes = \"n4\"\n[expect]\nconverged_within = \"30s\"\n\
         false_failures = 0\ndetected_full_p99 = [\"> 1s\", \"< 30s\"]",
    )
    .expect("valid");
    let scenario = parsed.scenario(&Point::default(), parsed.modes[0], 1).expect("valid");
    scenario.run(1).assert_met();
}

/// The TOML blocks of a text, in which each line may begin with `prefix`.
fn examples(text: &str, prefix: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines() {
        let line = line.strip_prefix(prefix).unwrap_or(line);
        match (&mut block, line.trim()) {
            (None, "```toml") => block = Some(String::new()),
            (Some(_), "```") => blocks.extend(block.take()),
            (Some(text), _) => *text += &format!("{}\n", line.trim_start()),
            (None, _) => {}
        }
    }
    blocks
}

#[test]
fn every_example_in_the_documents_is_taken() {
    let whole = [
        examples(include_str!("mod.rs"), "//!"),
        examples(include_str!("../../../simulations/README.md"), ""),
    ];
    for example in whole.iter().flatten() {
        parse("example.toml", example).unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
    assert_eq!(whole.map(|list| list.len()), [1, 1]);
    let expect = examples(include_str!("expect.rs"), "//!").remove(0);
    file(&format!("[expect]\n{expect}")).unwrap_or_else(|error| panic!("{error}"));
    let targets = examples(include_str!("target.rs"), "//!").remove(0);
    assert!(targets.lines().count() > 6);
    for target in targets.lines() {
        let text = format!(
            "lasts = \"60s\"\ngroups.victims = \"n1..n3\"\n[[faults]]\nat = \"1s\"\ndo = \"crash\"\n{target}\n\
             [[nodes]]\ncount = 100\n[[nodes]]\nname = \"web\"\ncount = 2\n[[nodes]]\nname = \"twin\"\n\
             [[nodes]]\nname = \"twin\"\n"
        );
        parse("example.toml", &text).unwrap_or_else(|error| panic!("{error}\n{target}"));
    }
}

mod never {
    use super::*;
    use proptest::prelude::*;

    const WORDS: [&str; 12] = [
        "-1",
        "0",
        "\"$blocked\"",
        "\"n0\"",
        "[]",
        "{}",
        "\"1s\"",
        "1e300",
        "\"\"",
        "true",
        "\"99999h\"",
        "[[0]]",
    ];

    proptest! {
        /// Whatever is written instead of a value, left out or written twice: an answer, no panic.
        #[test]
        fn a_damaged_file_is_never_more_than_an_error(
            damage in prop::collection::vec((0_usize..250, 0_usize..WORDS.len() + 2), 1..4),
        ) {
            let mut lines: Vec<String> =
                include_str!("tests/everything.toml").lines().map(str::to_owned).collect();
            for (line, word) in damage {
                let line = line % lines.len();
                match WORDS.get(word) {
                    Some(word) => {
                        if let Some((key, _)) = lines[line].clone().split_once(" = ") {
                            lines[line] = format!("{key} = {word}");
                        }
                    }
                    None if word == WORDS.len() => {
                        lines.remove(line);
                    }
                    None => {
                        let twice = lines[line].clone();
                        lines.insert(line, twice);
                    }
                }
            }
            if let Err(error) = parse("damaged.toml", &lines.join("\n")) {
                let text = error.to_string();
                prop_assert!(text.starts_with("damaged.toml"), "{text}");
                prop_assert!(text.contains("want") || text.contains("TOML"), "{text}");
            }
        }
    }
}
