use super::*;
use crate::core::SettingValue;

fn load(args: &AgentArgs, text: &str) -> Result<AgentConfig, ConfigFault> {
    let mut raw = RawConfig::load(args)?;
    let mut file = RawConfig::default();
    file.add_text(Path::new("shoal.toml"), text)?;
    raw.under(file);
    AgentConfig::from_raw(&raw, args)
}

fn file(text: &str) -> Result<AgentConfig, ConfigFault> {
    let args = AgentArgs { node: Some("n1".to_owned()), no_persist: true, ..AgentArgs::default() };
    load(&args, text)
}

#[test]
fn every_bad_value_names_file_line_key_value_and_what_was_wanted() {
    let table = [
        ("bind = \"nowhere\"", "shoal.toml:1: bind = \"nowhere\": want ADDR[:PORT] with an IP"),
        ("\n\nbind = 7", "shoal.toml:3: bind = 7: want ADDR[:PORT]"),
        (
            "bind = \"10.0.0.5\"",
            "shoal.toml:1: bind = \"10.0.0.5\": want a loopback address, or a key (--key-file FILE",
        ),
        (
            "bind = \"0.0.0.0\"\nallow_plaintext = true",
            "bind = \"0.0.0.0\": want an address of this host, or advert",
        ),
        ("advertise = \"0.0.0.0\"", "advertise = \"0.0.0.0\": want the address at which others reach"),
        ("advertise = \"fd00::1\"", "advertise = \"fd00::1\": want an address of the same IP version"),
        ("cluster = \"a b\"", "cluster = \"a b\": want 1 to 128 letters"),
        ("join = [\"a b\"]", "join = [\"a b\"]: want HOST[:PORT]"),
        ("join = [\"a:0\"]", "join = [\"a:0\"]: want HOST[:PORT]"),
        ("join = 3", "join = 3: want HOST[:PORT]"),
        ("http = \"10.0.0.1:8500\"", "http = \"10.0.0.1:8500\": want a loopback address with a port"),
        (
            "http = \"10.0.0.1:8500\"\nhttp_allow_remote = true",
            "shoal.toml:1: http = \"10.0.0.1:8500\": want a loopback address with a port, such as 127.0.0.1:8500; \
             another one needs http_allow_remote",
        ),
        ("http_token_file = \"/no/such\"", "cannot read /no/such: "),
        (
            "http_token_file = \"/etc/passwd\"",
            "http_token_file = \"/etc/passwd\": want a file that others cannot read",
        ),
        ("http_hosts = [\"a:80\"]", "http_hosts = [\"a:80\"]: want a name that this agent is reached by"),
        ("access = 1", "shoal.toml:1: access = 1: want a table with read, register and administer"),
        ("[access]\nwrite = []", "shoal.toml:1: access.write = []: want a table with read, register and"),
        (
            "[access]\nread = [\"no such user\"]",
            "access.read = [\"no such user\"]: want a list of users of this",
        ),
        (
            "[access]\nread = [\"@no such\"]",
            "access.read = [\"@no such\"]: want a list of users of this host",
        ),
        ("[access]\nregister = [1]", "access.register = [1]: want a table of service names or prefixes such"),
        (
            "[access.register]\n\"a*b\" = 0",
            "access.register = { \"a*b\" = 0 }: want a table of service names",
        ),
        ("[access.register]\nweb = [true]", "access.register = [true]: want a list of users of this host"),
        ("http = \"127.0.0.1\"", "http = \"127.0.0.1\": want a loopback address with a port"),
        ("dns = \"127.0.0.1\"", "dns = \"127.0.0.1\": want an address of this host with a port"),
        ("dns = \"0.0.0.0:53\"", "dns = \"0.0.0.0:53\": want an address of this host with a port"),
        ("dns_domain = \"a b\"", "dns_domain = \"a b\": want a domain name of at most 63"),
        ("dns_recursors = [\"example.com\"]", "dns_recursors = [\"example.com\"]: want ADDR[:PORT]"),
        (
            "dns = \"127.0.0.1:53\"\ndns_recursors = \"127.0.0.1\"",
            "shoal.toml:2: dns_recursors = \"127.0.0.1\": want other servers than this agent's own",
        ),
        ("dns_recursor_timeout = \"0s\"", "dns_recursor_timeout = \"0s\": want 1ms to 1m"),
        ("dns_node_ttl = \"1500ms\"", "dns_node_ttl = \"1500ms\": want whole seconds"),
        ("dns_service_ttl = \"5s\"", "dns_service_ttl = \"5s\": want a table of service names"),
        ("[dns_service_ttl]\n\"a*b\" = \"5s\"", "want a table of service names, prefixes such as \"web*\""),
        ("dns_udp_answer_limit = 0", "dns_udp_answer_limit = 0: want 1 or more"),
        ("dns_node_meta_txt = 1", "dns_node_meta_txt = 1: want true or false"),
        ("socket_mode = 660", "socket_mode = 660: want permission bits in octal, such as \"0660\""),
        ("socket_mode = \"888\"", "socket_mode = \"888\": want permission bits in octal"),
        ("socket_group = \"no such group\"", "socket_group = \"no such group\": want the name of a group"),
        ("profile = \"moon\"", "profile = \"moon\": want lan, wan or local"),
        ("allow_plaintext = \"yes\"", "allow_plaintext = \"yes\": want true or false"),
        ("log_level = \"inof\"", "log_level = \"inof\": want off, error, warn, info"),
        ("log_format = \"xml\"", "log_format = \"xml\": want text or json"),
        ("probe_interval = \"soon\"", "shoal.toml:1: probe_interval = \"soon\": want a duration such as"),
        ("probe_interval = 5", "probe_interval = 5: want a duration such as"),
        ("probe_timeout = \"2s\"", "shoal.toml:1: probe_timeout = 2s: want less than probe_interval (1s)"),
        ("gossip_fanout = -1", "gossip_fanout = -1: want a whole number"),
        ("gossip_fanout = 0", "shoal.toml:1: gossip_fanout = 0: want 1 to 16"),
        ("suspicion_mult = 5000000000", "suspicion_mult = 5000000000: want a smaller number"),
        ("[tag]\nrack = 1", "shoal.toml:1: tag.rack = 1: want a text"),
        ("tag = \"rack\"", "shoal.toml:1: tag = \"rack\": want K=V"),
        (
            "porbe_interval = \"1s\"",
            "unknown key porbe_interval = \"1s\": want a known key (did you mean probe_interval",
        ),
        ("data-dir = \"/x\"", "unknown key data-dir = \"/x\": want a known key (did you mean data_dir?)"),
        ("zzzzzz = 1", "unknown key zzzzzz = 1: want one of node, cluster"),
        ("bind = ", "shoal.toml: TOML parse error at line 1"),
    ];
    for (text, want) in table {
        let error = file(text).expect_err(text).to_string();
        assert!(error.contains(want), "{text:?} said {error:?}, want {want:?}");
    }
}

#[test]
fn defaults_are_a_valid_one_node_cluster_on_loopback() {
    let config = file("").expect("valid");
    assert_eq!(config.bind().to_string(), "127.0.0.1:7946");
    assert_eq!(config.cluster(), "shoal");
    assert_eq!(config.advertise(), None);
    assert_eq!(config.socket_mode(), 0o600);
    assert!(config.join().is_empty());
}

#[test]
fn flags_win_over_files_and_tags_are_laid_over_one_by_one() {
    let args = AgentArgs {
        node: Some("flag".to_owned()),
        bind: Some("127.0.0.2:0".to_owned()),
        tags: vec!["rack=r2".to_owned()],
        log_level: Some(String::new()),
        no_persist: true,
        ..AgentArgs::default()
    };
    let text =
        "node = \"file\"\nlog_level = \"debug\"\nprobe_interval = \"2s\"\n[tag]\nrack = \"r1\"\nzone = \"z\"";
    let config = load(&args, text).expect("valid");
    assert_eq!(config.node().as_str(), "flag");
    assert_eq!(config.bind().to_string(), "127.0.0.2:0");
    assert_eq!(config.log_level(), "debug");
    assert_eq!(config.core().probe_interval, std::time::Duration::from_secs(2));
    let tags: Vec<_> = config.tags().iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(tags, ["rack=r2", "zone=z"]);
}

#[test]
fn a_flag_that_is_wrong_says_so() {
    let args = AgentArgs { node: Some("-".to_owned()), no_persist: true, ..AgentArgs::default() };
    let error = load(&args, "").expect_err("bad name").to_string();
    assert!(error.starts_with("command line or environment: node = \"-\": want 1 to 128"), "{error}");
}

#[test]
fn what_is_shown_reads_back_as_the_same_configuration() {
    let text = "bind = \"0.0.0.0:1234\"\nadvertise = \"10.0.0.5\"\nallow_plaintext = true\nprofile = \"wan\"\n\
                reap_after = \"36h 30m\"\nhttp = \"127.0.0.1:8500\"\njoin = [\"a\", \"10.0.0.1:9\", \"fd00::1\"]\n\
                http_hosts = [\"Agent.example.\"]\naccess = {read = \"*\", administer = [0, \"@0\", \"tcp\"], register = \
                {web = [], \"We*\" = \"root\"}}\n\
                dns = \"127.0.0.1:8600\"\ndns_recursors = [\"10.0.0.2\", \"[fd00::2]:54\"]\n\
                dns_alt_domain = \"Example.com.\"\ndns_node_meta_txt = false\ndns_a_record_limit = 4\n\
                dns_service_ttl = {web = \"5s\", \"we*\" = \"1m\"}\n\
                tag = [\"a=b=c\"]\nsocket_mode = \"660\"\nsocket = \"/tmp/x.sock\"\nlog_level = \"info,shoal=debug\"";
    let config = file(text).expect("valid");
    assert_eq!(config.advertise().map(|a| a.to_string()).as_deref(), Some("10.0.0.5:1234"));
    let shown = config.to_toml().to_string();
    let again = AgentArgs::default();
    let again = load(&again, &shown).expect("what is shown is valid");
    assert_eq!(config.differences(&again), Vec::<String>::new(), "{shown}");
}

#[test]
fn an_address_that_others_reach_keeps_its_token_until_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("token");
    std::fs::write(&path, "0123456789abcdef\n").expect("writes");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("is ours");
    let token = format!("http_token_file = {:?}\n", path.display().to_string());
    let remote = format!("http = \"0.0.0.0:8500\"\nhttp_allow_remote = true\n{token}");
    let mut current = file(&remote).expect("valid");
    let with_token = current.access().terms();
    // The listener stays where it is, so it must not be left without one.
    let local = file("http = \"127.0.0.1:8500\"\nhttp_hosts = [\"a.example\"]").expect("valid");
    assert_eq!(current.take_live_parts(local), ["http_token_file"]);
    assert_eq!(current.access().terms().token, with_token.token);
    assert_eq!(current.access().terms().hosts, ["a.example"]);
    assert_eq!(current.http().map(|a| a.to_string()).as_deref(), Some("0.0.0.0:8500"));
    let mut current = file(&format!("http = \"127.0.0.1:8500\"\n{token}")).expect("valid");
    assert_eq!(current.take_live_parts(file("").expect("valid")), [""; 0]);
    assert_eq!(current.access().terms().token, None);
}

#[test]
fn differences_name_the_keys() {
    let a = file("log_level = \"debug\"\n[tag]\nx = \"1\"").expect("valid");
    let b = file("socket_mode = \"660\"").expect("valid");
    assert_eq!(a.differences(&b), ["log_level", "socket_mode", "tag"]);
}

#[test]
fn files_of_a_directory_are_read_in_order() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("20.toml"), "cluster = \"late\"").expect("write");
    std::fs::write(dir.path().join("10.toml"), "cluster = \"early\"\ngossip_fanout = 5").expect("write");
    let args = AgentArgs {
        node: Some("n1".to_owned()),
        no_persist: true,
        config_dirs: vec![dir.path().to_owned()],
        ..AgentArgs::default()
    };
    let config = AgentConfig::load(&args).expect("valid");
    assert_eq!(config.cluster(), "late");
    assert_eq!(config.core().gossip_fanout, 5);
    std::fs::write(dir.path().join("web.json"), "{\"cluster\": \"x\"}").expect("write");
    let error = AgentConfig::load(&args).expect_err("no settings in JSON").to_string();
    assert!(error.contains("web.json: unknown key cluster"), "{error}");
}

#[test]
fn join_addresses_are_names_or_ips_with_a_default_port() {
    let shown = |t: &str| t.parse::<JoinAddress>().ok().map(|a| a.to_string());
    assert_eq!(shown("seed.example.com").as_deref(), Some("seed.example.com:7946"));
    assert_eq!(shown("seed:9").as_deref(), Some("seed:9"));
    assert_eq!(shown("10.0.0.1").as_deref(), Some("10.0.0.1:7946"));
    assert_eq!(shown("[fd00::1]").as_deref(), Some("[fd00::1]:7946"));
    assert_eq!(shown("[fd00::1]:5").as_deref(), Some("[fd00::1]:5"));
    for bad in ["", "a b", "a:x", "a:0", ":7946", "0.0.0.0", "a/b"] {
        assert_eq!(shown(bad), None, "{bad:?}");
    }
}

#[test]
fn a_remote_address_needs_a_token_and_the_token_is_never_shown() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("token");
    let text = format!(
        "http = \"0.0.0.0:8500\"\nhttp_allow_remote = true\nhttp_token_file = {:?}",
        path.display().to_string()
    );
    let set = |token: &str, mode: u32| {
        std::fs::write(&path, token).expect("writes");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("is set");
    };
    set("a secret of no use\n", 0o600);
    file(&text).expect_err("spaces are not visible");
    set("short\n", 0o600);
    file(&text).expect_err("too short");
    set("0123456789abcdef\n", 0o644);
    file(&text).expect_err("others can read it");
    set("0123456789abcdef\n", 0o600);
    let config = file(&text).expect("valid");
    assert_eq!(config.http().map(|a| a.to_string()).as_deref(), Some("0.0.0.0:8500"));
    let shown = format!("{} {config:?} {:?}", config.to_toml(), config.access().build());
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
    file("http = \"0.0.0.0:8500\"\nhttp_allow_remote = true").expect_err("no token");
}

#[test]
fn the_page_about_the_constants_is_true() {
    let page = include_str!("../../../docs/configuration.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let has_flag = |row: &&str| {
        let cell = row.split('|').nth(2).unwrap_or_default().trim();
        cell.starts_with("`--") || cell == "file only"
    };
    let (node_rows, rows): (Vec<&str>, Vec<&str>) = rows.into_iter().partition(has_flag);
    let flags = <AgentArgs as clap::Args>::augment_args(clap::Command::new("agent"));
    let flags: Vec<&str> = flags.get_arguments().filter_map(clap::Arg::get_long).collect();
    assert_eq!(node_rows.len(), raw::KEYS.len(), "one row a key");
    for key in raw::KEYS {
        let flag = key.replace('_', "-");
        let told =
            if flags.contains(&flag.as_str()) { format!("`--{flag}`") } else { "file only".to_owned() };
        let wanted = format!("| `{key}` | {told} | ");
        assert!(node_rows.iter().any(|row| row.starts_with(&wanted)), "no row begins with {wanted}");
    }
    for flag in flags {
        let key = flag.replace('-', "_");
        assert!(
            page.contains(&format!("`--{flag}`"))
                || page.contains(&format!("`--{flag} "))
                || page.contains(&format!("| `{key}` |")),
            "--{flag}"
        );
    }
    let (dns_rows, rows): (Vec<&str>, Vec<&str>) =
        rows.into_iter().partition(|row| row.starts_with("| `dns"));
    let (access_rows, rows): (Vec<&str>, Vec<&str>) =
        rows.into_iter().partition(|row| row.starts_with("| `http") || row.starts_with("| `access"));
    assert_eq!(dns_rows.len(), dns::KEYS.len(), "one row a key");
    assert_eq!(access_rows.len(), access::KEYS.len(), "one row a key");
    let dns_rows = [dns_rows, access_rows].concat();
    let mut defaults = dns::defaults();
    defaults.extend(access::defaults());
    for key in dns::KEYS.iter().chain(access::KEYS) {
        let shown = match defaults.get(*key) {
            None => "none".to_owned(),
            Some(toml::Value::String(text)) => text.clone(),
            Some(toml::Value::Table(_) | toml::Value::Array(_)) => "none".to_owned(),
            Some(other) => other.to_string(),
        };
        let wanted = format!("| `{key}` | {shown} | ");
        assert!(dns_rows.iter().any(|row| row.starts_with(&wanted)), "no row begins with {wanted}");
    }
    assert_eq!(rows.len(), Settings::KEYS.len(), "one row a key");
    for key in Settings::KEYS {
        let shown = [Settings::lan(), Settings::wan(), Settings::local()].map(|settings| {
            match settings.get(key).expect("every key has a value") {
                SettingValue::Duration(duration) => crate::model::show_duration(duration),
                SettingValue::Number(number) => number.to_string(),
            }
        });
        let [lan, wan, local] = shown;
        let wanted = format!("| `{key}` | {lan} | {wan} | {local} | ");
        assert!(rows.iter().any(|row| row.starts_with(&wanted)), "no row begins with {wanted}");
    }
}
