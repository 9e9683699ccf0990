//! What is refused, and with which words.

use super::world::World;

#[tokio::test]
async fn every_refusal_has_the_status_and_text_that_clients_know() {
    let world = World::new();
    world.node("n2", 2, crate::model::MemberStatus::Alive);
    world.register(r#"{"Name":"web","ID":"web1","Check":{"TTL":"10s"}}"#).await;
    World::ok(&world.put("/v1/agent/service/maintenance/web1?enable=true", "").await);
    let register = "/v1/agent/service/register";
    let check = "/v1/agent/check/register";
    let cases: &[(&str, &str, &str, u16, &str)] = &[
        (
            "PUT",
            "/v1/agent/service/deregister/nope",
            "",
            404,
            "Unknown service ID \"nope\". Ensure that the service ID is passed, not the service name.",
        ),
        (
            "PUT",
            "/v1/agent/service/deregister/",
            "",
            404,
            "Unknown service ID \"\". Ensure that the service ID is passed, not the service name.",
        ),
        (
            "PUT",
            "/v1/agent/service/deregister/WEB1",
            "",
            404,
            "Unknown service ID \"WEB1\". Ensure that the service ID is passed, not the service name.",
        ),
        (
            "PUT",
            "/v1/agent/check/pass/nope",
            "",
            404,
            "Unknown check ID \"nope\". Ensure that the check ID is passed, not the check name.",
        ),
        (
            "PUT",
            "/v1/agent/check/deregister/nope",
            "",
            404,
            "Unknown check ID \"nope\". Ensure that the check ID is passed, not the check name.",
        ),
        (
            "PUT",
            "/v1/agent/check/pass/_service_maintenance:web1",
            "",
            500,
            "CheckID \"_service_maintenance:web1\" does not have associated TTL",
        ),
        ("PUT", "/v1/agent/check/update/nope", r#"{"Status":"bogus"}"#, 400, "Invalid check status: 'bogus'"),
        (
            "PUT",
            "/v1/agent/check/update/nope",
            r#"{"Status":"passing"}"#,
            404,
            "Unknown check ID \"nope\". Ensure that the check ID is passed, not the check name.",
        ),
        ("PUT", register, "{}", 400, "Missing service name"),
        ("PUT", register, "", 400, "Request decode failed: EOF"),
        (
            "PUT",
            register,
            "[]",
            400,
            "Request decode failed: json: cannot unmarshal array into Go value of type object",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","bogus":1}"#,
            400,
            "Request decode failed: json: unknown field \"bogus\"",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Check":{"Script":"x","Interval":"10s"}}"#,
            400,
            "Request decode failed: json: unknown field \"Script\"",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Port":"80"}"#,
            400,
            "Request decode failed: json: cannot unmarshal string into Go struct field .Port of type int",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Check":{"TTL":"xx"}}"#,
            400,
            "Request decode failed: time: invalid duration \"xx\"",
        ),
        ("PUT", register, r#"{"Name":"a","Address":"0.0.0.0"}"#, 400, "Invalid service address"),
        ("PUT", register, r#"{"Name":"a","Port":70000}"#, 400, "Invalid Port 70000: want 0 to 65535"),
        (
            "PUT",
            register,
            r#"{"Name":"a","Weights":{"Passing":0,"Warning":1}}"#,
            400,
            "Invalid Weights: Passing must be greater than 0",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Weights":{"Passing":1,"Warning":-1}}"#,
            400,
            "Invalid Weights: Warning must be greater or equal than 0",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Weights":{"Passing":70000,"Warning":1}}"#,
            400,
            "Invalid Weights: DNS Weight must be between 0 and 65535",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Meta":{"k y":"v"}}"#,
            400,
            "Invalid Service Meta: Couldn't load metadata pair ('k y', 'v'): Key contains invalid characters",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Meta":{"consul-x":"v"}}"#,
            400,
            "Invalid Service Meta: Couldn't load metadata pair ('consul-x', 'v'): Key prefix 'consul-' is reserved for internal use",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Check":{"TTL":"1s","Interval":"1s"}}"#,
            400,
            "Invalid check: Interval and TTL cannot both be specified",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Check":{"HTTP":"http://x/"}}"#,
            400,
            "Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Checks":[{}]}"#,
            400,
            "Invalid check: TTL must be > 0 for TTL checks",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Check":{"Notes":"n"}}"#,
            400,
            "Invalid check: TTL must be > 0 for TTL checks",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Check":{"AliasService":"b","TTL":"1s"}}"#,
            400,
            "Invalid check: TTL must be not be set for Alias checks",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Check":{"TTL":"1s","OutputMaxSize":-1}}"#,
            400,
            "Invalid check: MaxOutputMaxSize must be positive",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Check":{"TTL":"1s","FailuresBeforeWarning":3,"FailuresBeforeCritical":1}}"#,
            400,
            "Invalid check: FailuresBeforeWarning can't be higher than FailuresBeforeCritical",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Check":{"TTL":"10s","Status":"bogus"}}"#,
            400,
            "Status for checks must 'passing', 'warning', 'critical'",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Check":{"DockerContainerID":"x","Shell":"sh","Args":["x"],"Interval":"1s"}}"#,
            400,
            "Invalid check: Docker checks are not supported: want a TTL, HTTP, TCP, UDP, gRPC, H2PING, script or alias check",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Check":{"OSService":"x","Interval":"1s"}}"#,
            400,
            "Invalid check: OSService checks are not supported: want a TTL, HTTP, TCP, UDP, gRPC, H2PING, script or alias check",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","Check":{"Args":["true"],"Interval":"1s"}}"#,
            500,
            "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to \
             true",
        ),
        ("PUT", register, r#"{"Name":"a","Kind":"connect-proxy"}"#, 400, "Connect is not supported"),
        (
            "PUT",
            register,
            r#"{"Name":"a","Connect":{"SidecarService":{"Port":1}}}"#,
            400,
            "Connect is not supported",
        ),
        (
            "PUT",
            register,
            r#"{"Name":"a","TaggedAddresses":{"lan_ipv4":{"Address":"::1","Port":1}}}"#,
            500,
            "Service tagged address \"lan_ipv4\" must be a valid ipv4 address",
        ),
        (
            "PUT",
            register,
            "{\"Name\":\"a\\u0000b\"}",
            400,
            "Invalid service name \"a\\0b\": want 1 to 256 bytes without control characters",
        ),
        ("PUT", check, r#"{"TTL":"5s"}"#, 400, "Missing check name"),
        ("PUT", check, r#"{"Name":"c","TTL":"5s","Status":"x"}"#, 400, "Bad check status"),
        ("PUT", check, r#"{"Name":"c"}"#, 400, "Invalid check: TTL must be > 0 for TTL checks"),
        (
            "PUT",
            check,
            r#"{"Name":"c","TTL":"5s","ServiceID":"nope"}"#,
            404,
            "ServiceID \"nope\" does not exist",
        ),
        (
            "PUT",
            check,
            r#"{"Name":"c","tcp":"x:1"}"#,
            400,
            "Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks",
        ),
        ("PUT", "/v1/agent/maintenance", "", 400, "Missing value for enable"),
        ("PUT", "/v1/agent/maintenance?enable=x", "", 400, "Invalid value for enable: \"x\""),
        ("PUT", "/v1/agent/service/maintenance/?enable=true", "", 400, "Missing service ID"),
        ("PUT", "/v1/agent/service/maintenance/web1", "", 400, "Missing value for enable"),
        (
            "PUT",
            "/v1/agent/service/maintenance/nope?enable=true",
            "",
            404,
            "Unknown service ID \"nope\". Ensure that the service ID is passed, not the service name.",
        ),
        ("PUT", "/v1/agent/join/dead:1", "", 500, "no answer from dead:1"),
        ("PUT", "/v1/agent/join/x?wan=1", "", 500, "WAN join is not supported: there is one gossip pool"),
        ("PUT", "/v1/agent/force-leave/zz", "", 500, "agent: No node found with name 'zz'"),
        ("PUT", "/v1/agent/force-leave/n2", "", 500, "it is alive"),
        ("PUT", "/v1/agent/reload", "", 500, "a.toml: bad key"),
        ("GET", "/v1/agent/service/nope", "", 404, "unknown service ID: nope"),
        ("GET", "/v1/agent/health/service/id/", "", 500, "Missing serviceID"),
        ("GET", "/v1/agent/health/service/name/", "", 500, "Missing service Name"),
        (
            "GET",
            "/v1/agent/services?ns=x",
            "",
            400,
            "Invalid query parameter: \"ns\" - Namespaces are a Consul Enterprise feature",
        ),
        ("GET", "/v1/agent/members?segment=x", "", 500, "segment \"x\" not found"),
        (
            "GET",
            "/v1/agent/services?filter=Nope==1",
            "",
            400,
            "Failed to create boolean expression evaluator: Selector \"Nope\" is not valid",
        ),
        ("GET", "/v1/health/service/", "", 400, "Missing service name"),
        ("GET", "/v1/health/checks/", "", 400, "Missing service name"),
        ("GET", "/v1/health/node/", "", 400, "Missing node name"),
        ("GET", "/v1/health/state/", "", 400, "Missing check state"),
        ("GET", "/v1/catalog/service/", "", 400, "Missing service name"),
        ("GET", "/v1/catalog/node/", "", 400, "Missing node name"),
        ("GET", "/v1/catalog/node-services/", "", 400, "Missing node name"),
        ("GET", "/v1/health/service/web?wait=60", "", 400, "Invalid wait time"),
        ("GET", "/v1/health/service/web?index=x", "", 400, "Invalid index"),
        ("GET", "/v1/health/service/web?passing=maybe", "", 400, "Invalid value for ?passing"),
        ("GET", "/v1/health/service/web?dc=mars", "", 500, "No path to datacenter"),
        ("GET", "/v1/health/service/web?tag=%zz", "", 500, ""),
        ("GET", "/v1/health/service/web%zz", "", 400, "Invalid URL path: want UTF-8 in percent-encoding"),
        ("GET", "/v1/nope", "", 404, "Invalid URL path: not a recognized HTTP API endpoint\n"),
        (
            "GET",
            "/uix/",
            "",
            404,
            "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n",
        ),
        ("POST", register, "{}", 405, "method POST not allowed"),
        ("GET", "/v1/agent/check/pass/x", "", 405, "method GET not allowed"),
        ("DELETE", "/v1/agent/services", "", 405, "method DELETE not allowed"),
        ("GET", "/v1/acl/tokens", "", 401, "ACL support disabled"),
        ("PUT", "/v1/agent/token/default", "{}", 401, "ACL support disabled"),
        ("GET", "/v1/coordinate/node/", "", 400, "Missing node name"),
        (
            "PUT",
            "/v1/coordinate/update",
            "{}",
            501,
            "coordinate/update is not supported: every agent finds its own coordinate by its probes",
        ),
        ("GET", "/v1/shoal/rtt?a=nope", "", 404, "no node is named \"nope\""),
        (
            "PUT",
            "/v1/kv/a",
            "x",
            501,
            "the key/value store is not supported: this agent keeps no consensus store (see /v1/agent/self DebugConfig)",
        ),
        (
            "PUT",
            "/v1/session/create",
            "",
            501,
            "sessions are not supported: this agent keeps no consensus store (see /v1/agent/self DebugConfig)",
        ),
        ("GET", "/v1/query/x/execute", "", 404, "Query not found"),
        (
            "POST",
            "/v1/query",
            "{}",
            501,
            "prepared queries are not supported: this agent keeps no consensus store (see /v1/agent/self DebugConfig)",
        ),
        (
            "PUT",
            "/v1/catalog/register",
            r#"{"Node":"n2","Address":"10.0.0.2"}"#,
            501,
            "catalog/register for other nodes is not supported: register through the agent on that node",
        ),
    ];
    for (method, target, body, status, text) in cases {
        let answer = world.send(World::request(method, target, body)).await;
        assert_eq!((answer.status, answer.body.as_str()), (*status, *text), "{method} {target} {body}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        let in_v1 = target.starts_with("/v1/");
        assert_eq!(answer.header("x-consul-default-acl-policy"), if in_v1 { "allow" } else { "" });
    }
}

#[tokio::test]
async fn a_refused_registration_changes_nothing() {
    let world = World::new();
    world
        .put("/v1/agent/service/register", r#"{"Name":"a","Check":{"Args":["true"],"Interval":"1s"}}"#)
        .await;
    assert_eq!(world.get("/v1/agent/services").await.body, "{}");
    assert_eq!(world.get("/v1/health/service/a").await.body, "[]");
}

#[tokio::test]
async fn methods_are_told_and_head_is_get_without_a_body() {
    let world = World::new();
    let answer = world.send(World::request("OPTIONS", "/v1/agent/services", "")).await;
    assert_eq!((answer.status, answer.header("allow"), answer.body.as_str()), (200, "OPTIONS,GET", ""));
    let answer = world.send(World::request("OPTIONS", "/v1/kv/x", "")).await;
    assert_eq!(answer.header("allow"), "OPTIONS,GET,PUT,DELETE");
    let answer = world.send(World::request("POST", "/v1/agent/leave", "")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "OPTIONS,PUT"));
    let answer = world.send(World::request("HEAD", "/v1/agent/services", "")).await;
    assert_eq!((answer.status, answer.body.as_str(), answer.header("content-length")), (200, "", "2"));
}

#[tokio::test]
async fn bodies_are_bounded() {
    let world = World::new();
    let huge = format!(r#"{{"Name":"a","Tags":["{}"]}}"#, "x".repeat(1 << 20));
    let answer = world.put("/v1/agent/service/register", &huge).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (413, "Request body too large: want at most 1048576 bytes")
    );
    let deep = "[".repeat(500_000);
    assert_eq!(world.put("/v1/agent/service/register", &deep).await.status, 400);
    let binary = http::Request::put("/v1/agent/service/register")
        .body(axum::body::Body::from(vec![0xff, 0xfe, 0x00]))
        .expect("valid");
    assert_eq!(world.send(binary).await.status, 400);
}

#[tokio::test]
async fn the_agents_limits_are_the_callers_fault_and_its_end_is_not() {
    let world = World::new();
    for i in 0..20 {
        world.register(&format!(r#"{{"Name":"a","ID":"a{i}"}}"#)).await;
    }
    let answer = world.put("/v1/agent/service/register", r#"{"Name":"a","ID":"one more"}"#).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.body.contains("max_entries_per_node"), "{answer:?}");

    use crate::api::local::refused;
    use crate::api::request::RequestError;
    use crate::model::LocalError;
    let statuses = [
        (RequestError::NotDurable("disk full".to_owned()), 500),
        (RequestError::ShuttingDown, 503),
        (RequestError::Local(LocalError::Leaving), 503),
        (
            RequestError::Local(LocalError::RecordTooLarge { what: "service".to_owned(), bytes: 2, max: 1 }),
            400,
        ),
    ];
    for (error, status) in statuses {
        let text = error.to_string();
        let failure = refused(error);
        assert_eq!((failure.status.as_u16(), failure.text), (status, text));
    }
}

#[tokio::test]
async fn an_agent_that_stopped_says_so() {
    let (_, view) = crate::view::ViewBuilder::new("dc1".to_owned(), super::world::key("n1"), 1);
    let (requests, received) = tokio::sync::mpsc::channel(1);
    drop(received);
    let info = crate::api::StaticInfo {
        node: crate::model::NodeName::new("n1").expect("valid"),
        node_id: crate::model::NodeId([1; 16]),
        datacenter: "dc1".to_owned(),
        agent_version: String::new(),
        started_unix_ms: 0,
        limits: crate::api::Limits::default(),
        config: serde_json::Value::Null,
        script_checks: false,
        settings: serde_json::json!({ "profile": "lan" }),
    };
    let mut world = World::new();
    world.router = super::world::router(crate::api::Context {
        view,
        requests,
        info,
        more_metrics: crate::api::MoreMetrics::default(),
        logs: None,
        access: std::sync::Arc::default(),
    });
    let answer = world.put("/v1/agent/service/register", r#"{"Name":"a"}"#).await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "the agent is shutting down"));
}
