//! Who may do what: rules for callers of the Unix socket, token and host for callers over TCP.

use super::world::World;
use crate::api::Limits;
use crate::api::access::{Access, Allowed, Caller, Principal, Rules, Token};
use crate::api::route::routes;
use std::sync::Arc;

const ROOT: u32 = 0;
const DEPLOY: u32 = 1_000;
const OPERATOR: u32 = 1_001;
const STRANGER: u32 = 1_002;
const TOKEN: &str = "0123456789abcdef";

fn allow(word: &str, principal: Principal) -> Allowed {
    Allowed { words: vec![word.to_owned()], principals: vec![principal] }
}

fn guarded() -> World {
    let operators = Principal::Group { gid: 50, members: vec![OPERATOR] };
    let rules = Rules {
        read: None,
        register: Some(vec![
            ("web*".to_owned(), allow("deploy", Principal::User(DEPLOY))),
            ("web-admin".to_owned(), allow("root", Principal::User(ROOT))),
        ]),
        administer: Some(allow("@ops", operators)),
    };
    World::with(Limits::default(), Arc::new(Access::new(rules, None, Vec::new())))
}

fn over_tcp(token: Option<&str>) -> World {
    let token = token.map(|t| Token::new(t).expect("is one"));
    World::with(
        Limits::default(),
        Arc::new(Access::new(Rules::default(), token, vec!["shoal.lan".to_owned()])),
    )
}

/// The status and text that a process of this user gets.
async fn asked(world: &World, uid: u32, method: &str, target: &str, body: &str) -> (u16, String) {
    let mut request = World::request(method, target, body);
    request.extensions_mut().insert(Caller::Unix { uid, gid: uid, pid: Some(7) });
    let answer = world.send(request).await;
    (answer.status, answer.body)
}

async fn status(world: &World, uid: u32, method: &str, target: &str, body: &str) -> u16 {
    asked(world, uid, method, target, body).await.0
}

/// The status that a caller over TCP gets, with these headers.
async fn called(world: &World, target: &str, headers: &[(&'static str, &str)]) -> u16 {
    let mut request = World::request("GET", target, "");
    request.extensions_mut().insert(Caller::Tcp(([10, 0, 0, 9], 1).into()));
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().expect("a value"));
    }
    world.send(request).await.status
}

#[tokio::test]
async fn a_refusal_names_the_rule_the_caller_and_what_was_wanted() {
    let world = guarded();
    let refused = asked(&world, STRANGER, "PUT", "/v1/agent/service/register", r#"{"Name":"web-1"}"#).await;
    let text = "Permission denied: access.register.\"web*\" allows deploy; uid 1002 (gid 1002, pid 7) wanted \
                to change service \"web-1\"";
    assert_eq!(refused, (403, text.to_owned()));
    let refused = asked(&world, DEPLOY, "PUT", "/v1/agent/leave", "").await;
    let text = "Permission denied: access.administer allows @ops; uid 1000 (gid 1000, pid 7) wanted to administer \
                this agent";
    assert_eq!(refused, (403, text.to_owned()));
    let refused = asked(&world, ROOT, "PUT", "/v1/agent/service/register", r#"{"Name":"db"}"#).await;
    assert_eq!(refused.0, 403);
    assert!(refused.1.contains("no rule of access.register covers it; uid 0"), "{}", refused.1);
    let metrics = world.get("/metrics").await.body;
    assert!(metrics.contains("shoal_api_refused_total{by=\"rule\"} 3\n"), "{metrics}");
}

#[tokio::test]
async fn names_belong_to_whom_the_nearest_rule_says_whatever_their_case() {
    let world = guarded();
    let register = "/v1/agent/service/register";
    assert_eq!(status(&world, DEPLOY, "PUT", register, r#"{"Name":"Web"}"#).await, 200);
    assert_eq!(status(&world, DEPLOY, "PUT", register, r#"{"Name":"WEB-ADMIN"}"#).await, 403);
    assert_eq!(status(&world, ROOT, "PUT", register, r#"{"Name":"web-admin"}"#).await, 200);
    assert_eq!(status(&world, ROOT, "PUT", register, r#"{"Name":"web"}"#).await, 403);
}

#[tokio::test]
async fn what_is_there_is_changed_by_those_only_who_might_have_made_it() {
    let world = guarded();
    let web = r#"{"Name":"web","Check":{"TTL":"1m"}}"#;
    assert_eq!(status(&world, DEPLOY, "PUT", "/v1/agent/service/register", web).await, 200);
    let taken = r#"{"Name":"web-admin","ID":"web"}"#;
    let check_taken = r#"{"Name":"web-admin","Check":{"TTL":"1m","CheckID":"service:web"}}"#;
    let check = r#"{"Name":"x","ServiceID":"web","TTL":"1m"}"#;
    let node_check = r#"{"Name":"disk","TTL":"1m"}"#;
    for (method, target, body) in [
        ("PUT", "/v1/agent/service/register", taken),
        ("PUT", "/v1/agent/service/register", check_taken),
        ("PUT", "/v1/agent/service/deregister/web", ""),
        ("PUT", "/v1/agent/service/maintenance/web?enable=true", ""),
        ("PUT", "/v1/agent/check/register", check),
        ("PUT", "/v1/agent/check/register", node_check),
        ("PUT", "/v1/agent/check/deregister/service:web", ""),
        ("PUT", "/v1/agent/check/pass/service:web", ""),
        ("PUT", "/v1/agent/check/fail/service:web", ""),
        ("PUT", "/v1/agent/check/update/service:web", r#"{"Status":"passing"}"#),
        ("PUT", "/v1/agent/maintenance?enable=true", ""),
        ("PUT", "/v1/agent/join/10.0.0.2", ""),
        ("PUT", "/v1/agent/force-leave/n1", ""),
        ("PUT", "/v1/agent/reload", ""),
    ] {
        assert_eq!(status(&world, ROOT, method, target, body).await, 403, "{target}");
    }
    assert_eq!(status(&world, DEPLOY, "PUT", "/v1/agent/check/pass/service:web", "").await, 200);
    assert_eq!(status(&world, OPERATOR, "PUT", "/v1/agent/check/register", node_check).await, 200);
    assert_eq!(status(&world, DEPLOY, "PUT", "/v1/agent/check/pass/disk", "").await, 403);
    assert_eq!(status(&world, DEPLOY, "PUT", "/v1/agent/service/deregister/web", "").await, 200);
    assert_eq!(status(&world, DEPLOY, "PUT", "/v1/agent/service/deregister/web", "").await, 404);
    assert_eq!(status(&world, STRANGER, "GET", "/v1/agent/services", "").await, 200);
}

#[tokio::test]
async fn readers_may_be_chosen_and_who_is_not_known_is_nobody() {
    let rules = Rules { read: Some(allow("root", Principal::User(ROOT))), ..Rules::default() };
    let world = World::with(Limits::default(), Arc::new(Access::new(rules, None, Vec::new())));
    assert_eq!(status(&world, ROOT, "GET", "/v1/agent/services", "").await, 200);
    assert_eq!(status(&world, DEPLOY, "GET", "/v1/agent/services", "").await, 403);
    assert_eq!(status(&world, DEPLOY, "HEAD", "/v1/agent/services", "").await, 403);
    assert_eq!(world.get("/v1/agent/services").await.status, 403);
    assert_eq!(called(&world, "/v1/agent/services", &[("host", "localhost")]).await, 403);
    assert_eq!(called(&world, "/v1/status/leader", &[("host", "localhost")]).await, 200);
}

#[tokio::test]
async fn over_tcp_a_request_must_ask_for_this_host() {
    let world = over_tcp(None);
    for good in
        ["localhost", "LocalHost.:80", "127.0.0.1:8500", "10.0.0.1", "[::1]:8500", "[::1]", "Shoal.lan:1"]
    {
        assert_eq!(called(&world, "/v1/agent/self", &[("host", good)]).await, 200, "{good}");
    }
    for bad in [
        "evil.example",
        "evil.example:8500",
        "localhost.evil.example",
        "",
        "[::1",
        "127.0.0.1:x",
        "a@127.0.0.1",
    ] {
        assert_eq!(called(&world, "/v1/agent/self", &[("host", bad)]).await, 403, "{bad}");
    }
    assert_eq!(called(&world, "/v1/agent/self", &[]).await, 403);
    assert_eq!(called(&world, "/v1/status/leader", &[("host", "evil.example")]).await, 403);
    let two = [("host", "localhost"), ("host", "evil.example")];
    assert_eq!(called(&world, "/v1/agent/self", &two).await, 403);
    assert_eq!(called(&world, "http://evil.example/v1/agent/self", &[("host", "localhost")]).await, 403);
}

#[tokio::test]
async fn a_page_from_elsewhere_changes_nothing() {
    let world = World::new();
    let ask = async |method: &str, target: &str, headers: &[(&'static str, &str)]| {
        let mut request = World::request(method, target, "");
        request.extensions_mut().insert(Caller::Unix { uid: DEPLOY, gid: DEPLOY, pid: None });
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().expect("a value"));
        }
        world.send(request).await
    };
    let fire = "/v1/event/fire/deploy";
    for origin in ["http://evil.example", "null", "", "http://localhost:8501", "http://localhost"] {
        let answer = ask("POST", fire, &[("host", "localhost:8500"), ("origin", origin)]).await;
        assert_eq!(answer.status, 403, "{origin}");
        assert!(answer.body.contains(&format!("a page of {origin:?} asked for it")), "{}", answer.body);
    }
    assert_eq!(ask("POST", fire, &[("origin", "http://localhost:8500")]).await.status, 403, "who was asked?");
    for headers in
        [&[("host", "LOCALHOST:8500"), ("origin", "http://localhost:8500")][..], &[("host", "x")], &[]]
    {
        assert_eq!(ask("POST", fire, headers).await.status, 200, "{headers:?}");
    }
    let read = [("host", "localhost"), ("origin", "http://evil.example")];
    assert_eq!(ask("GET", "/v1/agent/self", &read).await.status, 200, "the browser hides what it read");
}

#[tokio::test]
async fn over_tcp_the_token_is_wanted_and_on_the_socket_it_is_not() {
    let world = over_tcp(Some(TOKEN));
    let ask = async |headers: &[(&'static str, &str)]| {
        called(&world, "/v1/agent/self", &[&[("host", "localhost")], headers].concat()).await
    };
    let bearer = format!("bearer {TOKEN}");
    assert_eq!(ask(&[("authorization", &bearer)]).await, 200);
    assert_eq!(ask(&[("x-consul-token", TOKEN)]).await, 200);
    assert_eq!(ask(&[("authorization", "Basic Og=="), ("x-consul-token", TOKEN)]).await, 200);
    assert_eq!(ask(&[]).await, 403);
    assert_eq!(ask(&[("x-consul-token", "")]).await, 403);
    assert_eq!(ask(&[("x-consul-token", "0123456789abcdeX")]).await, 403);
    assert_eq!(ask(&[("authorization", "Bearer")]).await, 403);
    assert_eq!(ask(&[("authorization", TOKEN)]).await, 403);
    assert_eq!(called(&world, "/v1/status/leader", &[("host", "localhost")]).await, 200);
    assert_eq!(called(&world, "/v1/nope", &[("host", "localhost")]).await, 403);
    assert_eq!(status(&world, STRANGER, "GET", "/v1/agent/self", "").await, 200);
}

#[tokio::test]
async fn an_answer_that_was_written_before_is_given_to_whoever_may_read_only() {
    let target = "/v1/health/service/web";
    let rules = Rules { read: Some(allow("root", Principal::User(ROOT))), ..Rules::default() };
    let token = Some(Token::new(TOKEN).expect("is one"));
    let world = World::with(Limits::default(), Arc::new(Access::new(rules, token, Vec::new())));
    world.register(r#"{"Name":"web"}"#).await;
    for _ in 0..2 {
        assert_eq!(status(&world, ROOT, "GET", target, "").await, 200);
        assert_eq!(status(&world, STRANGER, "GET", target, "").await, 403);
        assert_eq!(world.get(target).await.status, 403);
        let told = [("host", "localhost"), ("x-consul-token", TOKEN)];
        assert_eq!(called(&world, target, &told).await, 403, "no rule says tcp");
    }
    let world = over_tcp(Some(TOKEN));
    world.register(r#"{"Name":"web"}"#).await;
    for _ in 0..2 {
        assert_eq!(called(&world, target, &[("host", "localhost"), ("x-consul-token", TOKEN)]).await, 200);
        assert_eq!(called(&world, target, &[("host", "localhost")]).await, 403);
        assert_eq!(called(&world, target, &[("host", "evil.example"), ("x-consul-token", TOKEN)]).await, 403);
        assert_eq!(status(&world, STRANGER, "GET", target, "").await, 200);
    }
    let metrics = world.get("/metrics").await.body;
    assert!(metrics.contains("shoal_api_refused_total{by=\"token\"} 2\n"), "{metrics}");
    assert!(metrics.contains("shoal_api_refused_total{by=\"host\"} 2\n"), "{metrics}");
}

#[tokio::test]
async fn every_path_asks_who_may_read_and_every_other_who_may_change() {
    let nobody = || Some(Allowed::default());
    let rules = Rules { read: nobody(), register: Some(Vec::new()), administer: nobody() };
    let world = World::with(Limits::default(), Arc::new(Access::new(rules, None, Vec::new())));
    let open = ["/v1/status/leader", "/ui", "/ui/"];
    for (path, has_id, methods) in routes().filter(|(path, ..)| !open.contains(path)) {
        let target = if has_id { format!("{path}x") } else { path.to_owned() };
        for method in methods {
            // Whose name matters is told by the body, or by what is there: nothing is.
            let later = ["service/", "check/", "/v1/catalog/"].iter().any(|part| path.contains(part));
            let later = later && *method != http::Method::GET;
            let answer = asked(&world, ROOT, method.as_str(), &target, "").await;
            assert!(answer.0 == 403 || (later && answer.0 >= 400), "{method} {target}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn in_the_catalogs_words_the_same_rules_hold() {
    let world = guarded();
    let register = "/v1/catalog/register";
    let deregister = "/v1/catalog/deregister";
    let service = |name: &str, id: &str| {
        format!(r#"{{"Node":"n1","Address":"10.0.0.1","Service":{{"Service":"{name}","ID":"{id}"}}}}"#)
    };
    let node_check = r#"{"Node":"n1","Address":"10.0.0.1","Check":{"CheckID":"disk","Name":"disk"}}"#;
    let gone = r#"{"Node":"n1","ServiceID":"web"}"#;
    assert_eq!(status(&world, OPERATOR, "PUT", register, &service("web", "web")).await, 403);
    assert_eq!(status(&world, DEPLOY, "PUT", register, &service("web", "web")).await, 200);
    assert_eq!(status(&world, ROOT, "PUT", register, &service("web-admin", "web")).await, 403, "it is taken");
    assert_eq!(status(&world, DEPLOY, "PUT", register, node_check).await, 403);
    assert_eq!(status(&world, OPERATOR, "PUT", register, node_check).await, 200);
    assert_eq!(status(&world, ROOT, "PUT", deregister, gone).await, 403);
    assert_eq!(status(&world, DEPLOY, "PUT", deregister, r#"{"Node":"n1","CheckID":"disk"}"#).await, 403);
    assert_eq!(status(&world, DEPLOY, "PUT", deregister, gone).await, 200);
    assert_eq!(status(&world, STRANGER, "PUT", deregister, gone).await, 200, "nothing is there");
    assert_eq!(status(&world, DEPLOY, "PUT", "/v1/event/fire/deploy", "").await, 403);
    assert_eq!(status(&world, OPERATOR, "PUT", "/v1/event/fire/deploy", "").await, 200);
    assert_eq!(
        status(&world, DEPLOY, "GET", "/v1/agent/monitor?loglevel=nope", "").await,
        400,
        "may be read"
    );
}

#[tokio::test]
async fn the_keyring_is_for_administrators_and_changed_by_the_agents_user_or_root() {
    let world = guarded();
    assert_eq!(status(&world, DEPLOY, "GET", "/v1/shoal/keyring", "").await, 403);
    assert_eq!(status(&world, OPERATOR, "GET", "/v1/shoal/keyring", "").await, 200);
    let refused = asked(&world, OPERATOR, "PUT", "/v1/shoal/keyring/use/00000001", "").await;
    assert!(refused.0 == 403 && refused.1.contains("by the user that the agent runs as"), "{refused:?}");
    assert_eq!(
        status(&world, ROOT, "PUT", "/v1/shoal/keyring/use/00000001", "").await,
        403,
        "no administrator"
    );
    let access = Access::default().owned_by(DEPLOY);
    let world = World::with(Limits::default(), Arc::new(access));
    for (uid, want) in [(ROOT, 409), (DEPLOY, 409), (STRANGER, 403)] {
        assert_eq!(status(&world, uid, "PUT", "/v1/shoal/keyring/use/00000001", "").await, want, "{uid}");
    }
    assert_eq!(called(&world, "/v1/shoal/keyring", &[("host", "localhost")]).await, 403);
}
