use super::*;
use crate::agent::clock::Moment;
use crate::model::{
    CheckDefinition, CheckId, CheckKind, CheckStatus, EntryKey, Generation, InstanceId, Instant,
    LocalCommand, LocalState, NodeId, NodeName, ServiceDefinition, ServiceName, ServiceRecord, TaggedAddress,
    Weights,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

const NOW: Instant = Instant::from_nanos(1_000_000_000_000);
const MOMENT: Moment = Moment { now: NOW, unix_ms: 1_700_000_000_000 };

fn check(id: &str, service_id: Option<&str>, ttl_s: u64) -> CheckDefinition {
    CheckDefinition {
        id: CheckId::new(id).expect("valid"),
        name: "heartbeat".to_owned(),
        notes: String::new(),
        service_id: service_id.map(|s| InstanceId::new(s).expect("valid")),
        kind: CheckKind::Ttl { ttl: Duration::from_secs(ttl_s) },
        initial_status: Some(CheckStatus::Passing),
        interval: String::new(),
        timeout: String::new(),
        deregister_critical_after: Some(Duration::from_secs(600)),
    }
}

fn sample() -> LocalState {
    let service = ServiceRecord {
        id: InstanceId::new("web-1").expect("valid"),
        name: ServiceName::new("web").expect("valid"),
        tags: vec!["v1".to_owned()],
        address: "10.0.0.7".to_owned(),
        tagged_addresses: BTreeMap::from([(
            "lan".to_owned(),
            TaggedAddress { address: "a".to_owned(), port: 1 },
        )]),
        port: 8080,
        socket_path: String::new(),
        meta: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        weights: Weights::default(),
        enable_tag_override: true,
        extensions: BTreeMap::from([(9, vec![1, 2, 3])]),
    };
    let definition = ServiceDefinition { service, checks: vec![check("ttl", Some("web-1"), 30)] };
    let mut state = LocalState::default();
    let register =
        LocalCommand::RegisterService { definition: Box::new(definition), replace_existing_checks: false };
    let maintain = LocalCommand::NodeMaintenance { enable: true, reason: "tea".to_owned() };
    for command in [register, LocalCommand::RegisterCheck(Box::new(check("node", None, 5))), maintain] {
        crate::core::local::apply(&mut state, &command, NOW).expect("applies");
    }
    state
}

fn author(generation: u64) -> Author {
    let node = NodeName::new("n1").expect("valid");
    Author { node, node_id: NodeId::from_random(7), generation: Generation(generation) }
}

fn saved_with(generation: u64) -> Saved {
    let book = vec!["10.0.0.2:7946".parse().expect("valid"), "[fd00::1]:7946".parse().expect("valid")];
    Saved::new(author(generation), &sample(), book, MOMENT)
}

/// One change of what is registered.
fn change(state: &mut LocalState, what: u8, which: u8) {
    let service = |id: &str, port| ServiceRecord {
        id: InstanceId::new(id).expect("valid"),
        port,
        ..(**sample().services.values().next().expect("there is one")).clone()
    };
    let (id, check_id) = (format!("s{}", which % 7), format!("c{}", which % 5));
    let command = match what % 6 {
        0 | 1 => LocalCommand::RegisterService {
            definition: Box::new(ServiceDefinition {
                service: service(&id, u16::from(what)),
                checks: vec![check(&format!("of-{id}"), Some(&id), 30)],
            }),
            replace_existing_checks: false,
        },
        2 => LocalCommand::DeregisterService(InstanceId::new(&id).expect("valid")),
        3 => LocalCommand::RegisterCheck(Box::new(check(&check_id, None, u64::from(what) + 1))),
        4 => LocalCommand::DeregisterCheck(CheckId::new(&check_id).expect("valid")),
        _ => LocalCommand::NodeMaintenance { enable: which.is_multiple_of(2), reason: id },
    };
    // Some of them are refused: there is nothing to take away.
    let _ = crate::core::local::apply(state, &command, NOW + Duration::from_secs(u64::from(which)));
    if what.is_multiple_of(5) {
        state.from_files = state.services.keys().cloned().map(EntryKey::Service).take(2).collect();
    }
}

proptest! {
    /// Whatever was written before, the file is the one that is made of the state alone.
    #[test]
    fn what_is_encoded_bit_by_bit_is_what_is_encoded_at_once(
        changes in prop::collection::vec((any::<u8>(), any::<u8>(), 0..3u8), 1..40)
    ) {
        let (mut state, mut encoder) = (LocalState::default(), encoder::Encoder::new());
        let mut moment = MOMENT;
        for (what, which, then) in changes {
            change(&mut state, what, which);
            moment = match then {
                0 => moment,
                1 => Moment { now: moment.now + Duration::from_secs(3), unix_ms: moment.unix_ms + 3_000 },
                // Somebody set the clock.
                _ => Moment { unix_ms: moment.unix_ms - 1_000 * u64::from(what) - 1_000, ..moment },
            };
            let book: Vec<std::net::SocketAddr> = vec![([10, 0, 0, which], 7946).into(); usize::from(then)];
            let at_once = Saved::new(author(3), &state, book.clone(), moment);
            let request = WriteRequest {
                author: author(3), local: state.clone(), address_book: book, moment, keyring: None,
            };
            let file = format::file_of(&encoder.payload(&request).expect("plain data"));
            prop_assert_eq!(format::decode::<Saved>(&file).expect("whole"), at_once.clone());
            prop_assert!(file == format::encode(&at_once).expect("plain data"));
        }
    }
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn what_is_saved_comes_back() {
    let dir = dir();
    let data = DataDir::open(&dir.path().join("a/b")).expect("opens");
    assert_eq!(data.load().expect("loads"), None);
    let saved = saved_with(3);
    data.save(&saved).expect("saves");
    let again = data.load().expect("loads").expect("is there");
    assert_eq!(again, saved);
    assert_eq!(again.restore(MOMENT), sample());
}

#[test]
fn files_are_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = dir();
    let path = dir.path().join("data");
    let data = DataDir::open(&path).expect("opens");
    data.save(&saved_with(1)).expect("saves");
    let mode = |p: &Path| std::fs::metadata(p).expect("is there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join(STATE)), mode(&path.join(LOCK))), (0o700, 0o600, 0o600));
}

#[test]
fn a_ttl_has_the_rest_of_its_time_after_a_restart_and_an_expired_one_is_critical() {
    let saved = saved_with(1);
    // Ten seconds later on the wall clock, in a process that has just started.
    let later = Moment { now: Instant::START, unix_ms: MOMENT.unix_ms + 10_000 };
    let state = saved.restore(later);
    let ttl = &state.checks["ttl"];
    assert_eq!(ttl.status, CheckStatus::Passing);
    assert_eq!(ttl.deadline, Some(Instant::START + Duration::from_secs(20)));
    let expired = &state.checks["node"];
    assert_eq!(expired.status, CheckStatus::Critical);
    assert!(expired.output.starts_with("TTL expired"), "{}", expired.output);
}

#[test]
fn a_ttl_shorter_than_a_millisecond_does_not_expire_by_being_kept() {
    let mut state = LocalState::default();
    let ttl = CheckKind::Ttl { ttl: Duration::from_nanos(48) };
    let command =
        LocalCommand::RegisterCheck(Box::new(CheckDefinition { kind: ttl, ..check("ttl", None, 1) }));
    crate::core::local::apply(&mut state, &command, NOW).expect("applies");
    let saved = Saved::new(author(1), &state, Vec::new(), MOMENT);
    assert_eq!(saved.restore(MOMENT), state);
}

#[test]
fn a_clock_that_was_set_back_makes_no_ttl_longer() {
    let back = Moment { now: Instant::START, unix_ms: MOMENT.unix_ms - 3_600_000 };
    let state = saved_with(1).restore(back);
    assert_eq!(state.checks["ttl"].deadline, Some(Instant::START + Duration::from_secs(30)));
}

#[test]
fn a_second_agent_on_the_same_directory_is_told_who_has_it() {
    let dir = dir();
    let first = DataDir::open(dir.path()).expect("opens");
    let error = DataDir::open(dir.path()).expect_err("is locked").to_string();
    assert!(error.contains("in use by another agent"), "{error}");
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    drop(first);
    DataDir::open(dir.path()).expect("opens again");
}

#[test]
fn a_file_cut_or_changed_at_any_byte_is_refused() {
    let file = format::encode(&saved_with(3)).expect("encodes");
    for at in 0..file.len() {
        assert!(format::decode::<Saved>(&file[..at]).is_err(), "cut at {at}");
        let mut changed = file.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(format::decode::<Saved>(&changed).is_err(), "changed at {at}");
    }
    let longer = [file.as_slice(), b"x"].concat();
    assert!(format::decode::<Saved>(&longer).is_err());
}

#[test]
fn a_damaged_file_is_set_aside_whole_and_the_agent_starts() {
    let dir = dir();
    let data = DataDir::open(dir.path()).expect("opens");
    data.save(&saved_with(3)).expect("saves");
    let state = dir.path().join(STATE);
    let mut bytes = std::fs::read(&state).expect("is there");
    bytes.truncate(40);
    for _ in 0..2 {
        std::fs::write(&state, &bytes).expect("writes");
        assert_eq!(data.load().expect("starts"), None);
        assert!(!state.exists());
    }
    let kept: Vec<Vec<u8>> = std::fs::read_dir(dir.path())
        .expect("lists")
        .map(|e| e.expect("is there").path())
        .filter(|p| p.to_string_lossy().contains("state.damaged-"))
        .map(|p| std::fs::read(p).expect("is there"))
        .collect();
    assert_eq!(kept, [bytes.clone(), bytes]);
}

#[test]
fn a_crash_while_the_new_file_is_written_leaves_the_old_state() {
    let dir = dir();
    let data = DataDir::open(dir.path()).expect("opens");
    data.save(&saved_with(3)).expect("saves");
    let new = format::encode(&saved_with(4)).expect("encodes");
    for at in 0..=new.len() {
        std::fs::write(dir.path().join("state.new"), &new[..at]).expect("writes");
        assert_eq!(data.load().expect("loads"), Some(saved_with(3)), "cut at {at}");
    }
    data.save(&saved_with(5)).expect("saves over the remains");
    assert_eq!(data.load().expect("loads"), Some(saved_with(5)));
}

/// What a power cut leaves of a save, whatever the disk had done of it by then: the new file's bytes
/// reach it in any order until they are synced, and the rename any time until the directory is.
#[test]
fn a_power_cut_at_any_moment_of_a_save_leaves_the_old_or_the_new_state() {
    const SECTOR: usize = 16;
    let (old, new) = (saved_with(3), saved_with(4));
    let bytes = format::encode(&new).expect("encodes");
    let sectors = bytes.len().div_ceil(SECTOR);
    let (mut tried, mut found_old, mut found_new) = (0, 0, 0);
    let mut cut = |left: &[u8], renamed: bool| {
        let dir = dir();
        let data = DataDir::open(dir.path()).expect("opens");
        data.save(&old).expect("saves");
        std::fs::write(dir.path().join("state.new"), left).expect("writes");
        if renamed {
            std::fs::rename(dir.path().join("state.new"), dir.path().join(STATE)).expect("renames");
        }
        let found = data.load().expect("loads").expect("nothing is lost");
        tried += 1;
        found_old += u32::from(found == old);
        found_new += u32::from(found == new);
        assert!(found == old || found == new);
        // Whatever was left does not stand in the way of the next save.
        data.save(&saved_with(5)).expect("saves");
        assert_eq!(data.load().expect("loads"), Some(saved_with(5)));
    };
    // Before the sync: a prefix of any length, or with any one sector missing or not written yet.
    for at in 0..=bytes.len() {
        cut(&bytes[..at], false);
    }
    for sector in 0..sectors {
        let mut torn = bytes.clone();
        let end = torn.len().min((sector + 1) * SECTOR);
        torn[sector * SECTOR..end].fill(0);
        cut(&torn, false);
    }
    // After it the file is whole: the rename is on the disk or not.
    cut(&bytes, false);
    cut(&bytes, true);
    assert_eq!(tried, found_old + found_new);
    assert_eq!(found_new, 1);
}

#[test]
fn a_failed_write_is_an_error_and_the_old_state_stays() {
    let dir = dir();
    let data = DataDir::open(dir.path()).expect("opens");
    data.save(&saved_with(3)).expect("saves");
    std::fs::create_dir(dir.path().join("state.new")).expect("something in the way");
    let error = data.save(&saved_with(4)).expect_err("cannot write").to_string();
    assert!(error.contains("state.new"), "{error}");
    assert_eq!(data.load().expect("loads"), Some(saved_with(3)));
}

/// Not a test by itself: the process that the next test kills. Without the variable it does
/// nothing.
#[test]
fn writer_process_for_the_kill_test() {
    let Some(path) = std::env::var_os("SHOAL_TEST_WRITER_DIR") else { return };
    let data = DataDir::open(Path::new(&path)).expect("opens");
    let start = data.load().expect("loads").map_or(0, |s| s.generation.0);
    for generation in start + 1.. {
        data.save(&saved_with(generation)).expect("saves");
    }
}

#[test]
fn killed_at_any_moment_a_writer_leaves_a_whole_state() {
    let dir = dir();
    let mut last = 0;
    for round in 0..8_u64 {
        let mut writer = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "agent::persist::tests::writer_process_for_the_kill_test"])
            .env("SHOAL_TEST_WRITER_DIR", dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("starts");
        let written =
            || std::fs::read(dir.path().join(STATE)).ok().and_then(|b| format::decode::<Saved>(&b).ok());
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while written().is_none_or(|s| s.generation.0 <= last) {
            assert!(std::time::Instant::now() < deadline, "the writer wrote nothing");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(137 * round));
        writer.kill().expect("is killed");
        writer.wait().expect("ends");
        let data = DataDir::open(dir.path()).expect("the lock died with it");
        let generation = data.load().expect("loads").expect("is there").generation.0;
        assert!(generation > last);
        last = generation;
        let aside = std::fs::read_dir(dir.path())
            .expect("lists")
            .any(|e| e.is_ok_and(|e| e.file_name().to_string_lossy().contains("damaged")));
        assert!(!aside, "nothing was damaged");
    }
}

#[test]
fn a_file_of_format_version_1_is_read() {
    let saved = saved_with(3);
    let mut file = format::encode(&saved).expect("encodes");
    // As it was: neither name nor lists at the end, and what they are counted in before.
    file.truncate(file.len() - 16 - b"\x02n1\0\0".len());
    file[8..12].copy_from_slice(&1_u32.to_le_bytes());
    let payload = file.len() as u64 - 20;
    file[12..20].copy_from_slice(&payload.to_le_bytes());
    file.extend_from_slice(&xxhash_rust::xxh3::xxh3_128(&file).to_le_bytes());
    let mut nameless = saved;
    nameless.node.clear();
    assert_eq!(format::decode::<Saved>(&file), Ok(nameless));
}

#[test]
fn what_came_from_files_is_still_known_to_after_a_restart() {
    let mut state = sample();
    let key = |id: &str| EntryKey::Check(CheckId::new(id).expect("valid"));
    let web = EntryKey::Service(InstanceId::new("web-1").expect("valid"));
    state.from_files = [web, key("ttl")].into_iter().collect();
    let saved = Saved::new(author(1), &state, Vec::new(), MOMENT);
    assert_eq!(saved.restore(MOMENT), state);
    // What expired while nobody was there to send a heartbeat is still the files'.
    let late = Moment { now: NOW, unix_ms: MOMENT.unix_ms + 40_000 };
    assert_eq!(saved.restore(late).from_files, state.from_files);
}

#[test]
fn files_of_format_version_2_stay_readable() {
    // When this fails, a type in `saved` has changed: raise the format version and keep reading
    // the old one.
    let file = format::encode(&saved_with(3)).expect("encodes");
    let digest = xxhash_rust::xxh3::xxh3_64(&file);
    assert_eq!((file.len(), digest), (FORMAT_2_BYTES, FORMAT_2_DIGEST));
}
const FORMAT_2_BYTES: usize = 291;
const FORMAT_2_DIGEST: u64 = 16_043_896_895_225_087_632;

proptest! {
    #[test]
    fn any_bytes_are_a_state_or_damage(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = format::decode::<Saved>(&bytes);
    }

    #[test]
    fn a_payload_with_a_right_checksum_may_still_be_anything(
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..8),
    ) {
        let mut file = format::encode(&saved_with(3)).expect("encodes");
        let payload = 20..file.len() - 16;
        for (at, byte) in changes {
            let at = payload.start + usize::from(at) % payload.len();
            file[at] = byte;
        }
        let end = file.len() - 16;
        let checksum = xxhash_rust::xxh3::xxh3_128(&file[..end]).to_le_bytes();
        file[end..].copy_from_slice(&checksum);
        if let Ok(saved) = format::decode::<Saved>(&file) {
            saved.restore(MOMENT);
        }
    }
}

#[test]
fn a_file_larger_than_any_state_is_set_aside_without_being_read() {
    let dir = dir();
    let data = DataDir::open(dir.path()).expect("opens");
    let state = dir.path().join(STATE);
    // All hole: it takes no room on the disk.
    let file = File::create(&state).expect("is made");
    file.set_len(format::FILE_BYTES_MAX + 1).expect("grows");
    assert_eq!(data.load().expect("starts"), None);
    assert!(!state.exists());
}
