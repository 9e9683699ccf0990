//! What answers look like, and what requests of real clients do.

use super::world::{Answer, World, service_record};
use crate::model::MemberStatus;
use crate::view::Counted;
use serde_json::{Value, json};

const WEB1: &str = r#"{"Name":"web","ID":"web1","Address":"10.0.0.1","Port":9090,"Tags":["prom","a"],"Meta":{"v":"1"},"Check":{"TTL":"15s","Status":"passing"}}"#;

/// Replaces indexes, which depend on history, after seeing that they are positive.
fn without_indexes(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if name == "CreateIndex" || name == "ModifyIndex" {
                        assert!(value.as_u64().is_some(), "{name}");
                        *value = json!("index");
                    } else {
                        walk(value);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    walk(&mut value);
    value
}

fn node() -> Value {
    json!({"ID": "01010101-0101-0101-0101-010101010101", "Node": "n1", "Address": "10.0.0.1", "Datacenter": "dc1",
        "TaggedAddresses": {"lan": "10.0.0.1", "lan_ipv4": "10.0.0.1", "wan": "10.0.0.1", "wan_ipv4": "10.0.0.1"},
        "Meta": {"rack": "r1"}, "CreateIndex": "index", "ModifyIndex": "index"})
}

fn tagged() -> Value {
    json!({"lan_ipv4": {"Address": "10.0.0.1", "Port": 9090}, "wan_ipv4": {"Address": "10.0.0.1", "Port": 9090}})
}

fn node_service() -> Value {
    json!({"ID": "web1", "Service": "web", "Tags": ["prom", "a"], "Address": "10.0.0.1", "TaggedAddresses": tagged(),
        "Meta": {"v": "1"}, "Port": 9090, "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": false,
        "Proxy": {"Mode": "", "MeshGateway": {}, "Expose": {}}, "Connect": {}, "PeerName": "",
        "CreateIndex": "index", "ModifyIndex": "index"})
}

fn agent_service() -> Value {
    json!({"ID": "web1", "Service": "web", "Tags": ["prom", "a"], "Meta": {"v": "1"}, "Port": 9090, "Address": "10.0.0.1",
        "TaggedAddresses": tagged(), "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": false, "Datacenter": "dc1"})
}

fn serf() -> Value {
    json!({"Node": "n1", "CheckID": "serfHealth", "Name": "Serf Health Status", "Status": "passing", "Notes": "",
        "Output": "Agent alive and reachable", "ServiceID": "", "ServiceName": "", "ServiceTags": [], "Type": "",
        "Interval": "", "Timeout": "", "ExposedPort": 0, "Definition": {}, "CreateIndex": "index", "ModifyIndex": "index"})
}

fn web_check() -> Value {
    json!({"Node": "n1", "CheckID": "service:web1", "Name": "Service 'web' check", "Status": "passing", "Notes": "",
        "Output": "", "ServiceID": "web1", "ServiceName": "web", "ServiceTags": ["prom", "a"], "Type": "ttl",
        "Interval": "", "Timeout": "", "ExposedPort": 0, "Definition": {}, "CreateIndex": "index", "ModifyIndex": "index"})
}

#[tokio::test]
async fn objects_have_the_shapes_that_clients_decode() {
    let world = World::new();
    world.register(WEB1).await;
    let entry = json!([{"Node": node(), "Service": node_service(), "Checks": [serf(), web_check()]}]);
    let service_node = json!([{"ID": "01010101-0101-0101-0101-010101010101", "Node": "n1", "Address": "10.0.0.1",
        "Datacenter": "dc1", "TaggedAddresses": node()["TaggedAddresses"], "NodeMeta": {"rack": "r1"}, "ServiceKind": "",
        "ServiceID": "web1", "ServiceName": "web", "ServiceTags": ["prom", "a"], "ServiceAddress": "10.0.0.1",
        "ServiceTaggedAddresses": tagged(), "ServiceWeights": {"Passing": 1, "Warning": 1}, "ServiceMeta": {"v": "1"},
        "ServicePort": 9090, "ServiceSocketPath": "", "ServiceEnableTagOverride": false,
        "ServiceProxy": {"Mode": "", "MeshGateway": {}, "Expose": {}}, "ServiceConnect": {}, "ServiceLocality": null,
        "CreateIndex": "index", "ModifyIndex": "index"}]);
    let cases = [
        ("/v1/health/service/web", entry),
        ("/v1/catalog/service/WEB", service_node),
        ("/v1/catalog/services", json!({"web": ["a", "prom"]})),
        ("/v1/catalog/nodes", json!([node()])),
        ("/v1/catalog/node/N1", json!({"Node": node(), "Services": {"web1": node_service()}})),
        ("/v1/catalog/node/0101", json!({"Node": node(), "Services": {"web1": node_service()}})),
        ("/v1/catalog/node-services/n1", json!({"Node": node(), "Services": [node_service()]})),
        ("/v1/catalog/node/zz", Value::Null),
        ("/v1/catalog/node-services/zz", json!({"Node": null, "Services": null})),
        ("/v1/health/node/n1", json!([serf(), web_check()])),
        ("/v1/health/node/zz", json!([])),
        ("/v1/health/checks/web", json!([web_check()])),
        ("/v1/health/state/any", json!([serf(), web_check()])),
        ("/v1/health/state/passing", json!([serf(), web_check()])),
        ("/v1/health/state/critical", json!([])),
        ("/v1/health/state/bogus", json!([])),
        ("/v1/health/service/absent", json!([])),
        ("/v1/catalog/service/absent", json!([])),
        ("/v1/health/service/web?peer=x", json!([])),
        ("/v1/query", json!([])),
    ];
    for (target, want) in cases {
        let answer = world.get(target).await;
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(without_indexes(answer.json()), want, "{target}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("x-consul-knownleader"), "true");
        assert_eq!(answer.header("x-consul-lastcontact"), "0");
        assert_eq!(answer.header("x-consul-effective-consistency"), "stale");
        assert!(answer.index() >= 1);
    }
    let local = [
        ("/v1/agent/services", json!({"web1": agent_service()})),
        ("/v1/agent/checks", json!({"service:web1": web_check()})),
        ("/v1/catalog/datacenters", json!(["dc1"])),
        ("/v1/status/leader", json!("10.0.0.1:8300")),
        ("/v1/status/peers", json!(["10.0.0.1:8300"])),
        ("/v1/agent/members?wan=1", Value::Null),
    ];
    for (target, want) in local {
        let answer = world.get(target).await;
        assert_eq!((answer.status, without_indexes(answer.json())), (200, want), "{target}");
        assert_eq!(answer.header("x-consul-index"), "", "{target}");
    }
}

#[tokio::test]
async fn one_service_of_this_host_has_a_hash() {
    let world = World::new();
    world.register(WEB1).await;
    let answer = world.get("/v1/agent/service/web1").await;
    let hash = answer.header("x-consul-contenthash").to_owned();
    let mut want = agent_service();
    want["ContentHash"] = json!(hash);
    assert_eq!(answer.json(), want);
    assert_eq!(hash.len(), 16);
}

#[tokio::test]
async fn the_agent_describes_itself() {
    let world = World::new();
    let own = world.get("/v1/agent/self").await.json();
    for (name, value) in own.as_object().expect("an object") {
        assert!(value.is_object() || value.is_null(), "{name} is neither object nor null");
    }
    assert_eq!(own["Config"]["Datacenter"], "dc1");
    assert_eq!(own["Config"]["Server"], false);
    assert_eq!(own["Config"]["NodeName"], "n1");
    assert_eq!(own["Config"]["Version"], "1.21.4");
    assert_eq!(own["DebugConfig"]["bind"], "10.0.0.1");
    assert_eq!(own["Member"]["Name"], "n1");
    assert_eq!(own["Meta"]["rack"], "r1");
    for (_, part) in own["Stats"].as_object().expect("an object") {
        assert!(part.as_object().expect("an object").values().all(Value::is_string));
    }
    assert_eq!(world.get("/v1/agent/version").await.json()["FIPS"], "");
    assert_eq!(world.get("/").await.body, "Shoal Agent");
}

#[tokio::test]
async fn members_and_status_tell_all_states() {
    let world = World::new();
    for (name, number, status) in
        [("n2", 2, MemberStatus::Suspect), ("n3", 3, MemberStatus::Failed), ("n4", 4, MemberStatus::Left)]
    {
        world.node(name, number, status);
        world.service(name, service_record("x", "db", &["t"], 1));
    }
    let members = world.get("/v1/agent/members").await.json();
    let statuses: Vec<u64> =
        members.as_array().expect("a list").iter().map(|m| m["Status"].as_u64().expect("a number")).collect();
    assert_eq!(statuses, [1, 1, 4, 3]);
    assert_eq!(members[0]["Tags"]["build"], "1.21.4:shoal");
    assert_eq!(members[1]["Port"], 7946);
    let status = world.get("/v1/shoal/status").await.json();
    assert_eq!(status["members"], json!({"alive": 1, "suspect": 1, "failed": 1, "left": 1}));
    assert_eq!(status["catalog"], json!({"nodes": 3, "services": 1, "instances": 2, "checks": 3}));
    assert_eq!(status["generation"], 1);
    assert_eq!(status["convergence"]["since_difference_s"], Value::Null);
    let words: Vec<String> = world
        .get("/v1/shoal/members")
        .await
        .json()
        .as_array()
        .expect("a list")
        .iter()
        .map(|m| m["status"].as_str().expect("a text").to_owned())
        .collect();
    assert_eq!(words, ["alive", "suspect", "failed", "left"]);
    let critical = world.get("/v1/health/state/critical").await.json();
    assert_eq!(critical[0]["Node"], "n3");
    assert_eq!(critical[0]["Output"], "Agent not live or unreachable");
    assert_eq!(world.get("/v1/health/service/db?passing").await.json().as_array().expect("a list").len(), 1);
    assert_eq!(world.get("/v1/status/peers").await.json(), json!(["10.0.0.1:8300", "10.0.0.2:8300"]));
    world.edit(|view| {
        let propagation =
            crate::view::Durations { buckets: vec![(1_000, 2), (2_500, 5)], count: 6, sum_us: 1_500_000 };
        let counted = vec![
            Counted::new("shoal_local_health", 2),
            Counted::new("shoal_check_runs_total", 9),
            Counted::of("shoal_datagrams_dropped_total", ("reason", "malformed"), 3),
            Counted::of("shoal_datagrams_dropped_total", ("reason", "oversize"), 4),
        ];
        view.set_status(crate::view::AgentStatus { propagation, counted, ..Default::default() });
    });
    let metrics = world.get("/metrics").await.body;
    for line in [
        "# TYPE shoal_local_health gauge",
        "# TYPE shoal_check_runs_total counter",
        "# TYPE shoal_datagrams_dropped_total counter",
        "shoal_datagrams_dropped_total{reason=\"malformed\"} 3",
        "shoal_datagrams_dropped_total{reason=\"oversize\"} 4",
        "# TYPE shoal_propagation_seconds histogram",
        "shoal_propagation_seconds_bucket{le=\"0.001\"} 2",
        "shoal_propagation_seconds_bucket{le=\"0.0025\"} 5",
        "shoal_propagation_seconds_bucket{le=\"+Inf\"} 6",
        "shoal_propagation_seconds_sum 1.5",
        "shoal_propagation_seconds_count 6",
    ] {
        assert_eq!(metrics.lines().filter(|l| *l == line).count(), 1, "{line} is not once in {metrics}");
    }
    assert!(world.get("/metrics").await.body.contains("shoal_members{state=\"failed\"} 1\n"));
}

fn ids(answer: &Answer) -> Vec<String> {
    let list = answer.json();
    let id = |entry: &Value| {
        entry["Service"]["ID"].as_str().or(entry["ServiceID"].as_str()).expect("an id").to_owned()
    };
    list.as_array().expect("a list").iter().map(id).collect()
}

#[tokio::test]
async fn queries_pick_by_tag_node_health_filter_and_distance() {
    let world = World::new();
    world.node("n2", 2, MemberStatus::Alive);
    world.node("a3", 3, MemberStatus::Failed);
    world.service("n2", service_record("two", "web", &["Blue", "x"], 80));
    world.service("a3", service_record("three", "web", &["blue"], 80));
    world
        .register(r#"{"Name":"Web","ID":"one","Tags":["blue"],"Check":{"TTL":"9s","Status":"warning"}}"#)
        .await;
    let cases: &[(&str, &[&str])] = &[
        ("/v1/health/service/web", &["three", "one", "two"]),
        ("/v1/health/service/web?tag=BLUE&tag=X", &["two"]),
        ("/v1/health/service/web?tag=zz", &[]),
        ("/v1/health/service/web?passing=true", &["two"]),
        ("/v1/health/service/web?passing=0", &["three", "one", "two"]),
        ("/v1/health/service/web?node-meta=rack:r2", &["two"]),
        ("/v1/health/service/web?node-meta=rack:r2&node-meta=a:b", &[]),
        ("/v1/health/service/web?near=_agent", &["one", "three", "two"]),
        ("/v1/health/service/web?near=zz", &["three", "one", "two"]),
        (
            "/v1/health/service/web?filter=Service.ID+%3D%3D+two+or+Checks.Status+%3D%3D+warning",
            &["one", "two"],
        ),
        ("/v1/catalog/service/web?tag=blue&filter=ServicePort!=0", &["three", "two"]),
        ("/v1/catalog/service/web?consistent", &["three", "one", "two"]),
        ("/v1/health/checks/web", &["one"]),
    ];
    for (target, want) in cases {
        assert_eq!(ids(&world.get(target).await), *want, "{target}");
    }
    let services = world.get("/v1/catalog/services").await.json();
    assert_eq!(services, json!({"web": ["Blue", "blue", "x"]}));
    let services = world.get("/v1/catalog/services?node-meta=rack:r2").await.json();
    assert_eq!(services, json!({"web": ["Blue", "x"]}));
    assert_eq!(world.get("/v1/catalog/services?node-meta=a:b").await.json(), json!({}));
    let nodes = world.get("/v1/catalog/nodes?near=_agent&filter=Node!=n2").await.json();
    assert_eq!((&nodes[0]["Node"], &nodes[1]["Node"]), (&json!("n1"), &json!("a3")));
    let cached = world.get("/v1/health/service/web?cached").await;
    assert_eq!((cached.header("x-cache"), cached.header("age")), ("HIT", "0"));
}

#[tokio::test]
async fn bodies_as_real_clients_send_them_are_understood() {
    let world = World::new();
    let bodies = [
        r#"{"name":"pysvc","id":"py1","address":"127.0.0.1","port":7001,"tags":["a","b"],"meta":{"k":"v"},"checks":[{"ttl":"10s"}]}"#,
        r#"{"Name":"jssvc","ID":"js1","Tags":["x","y"],"Meta":{"a":"b"},"Address":"127.0.0.1","Port":7002,"Check":{"TTL":"10s","Status":"passing","DeregisterCriticalServiceAfter":"1m"}}"#,
        "{\"ID\":\"go1\",\"Name\":\"gosvc\",\"Tags\":[\"g\"],\"Port\":7003,\"Check\":{\"TTL\":\"10s\"}}\n",
        r#"{"Address":"127.0.0.1","ID":"ngx1","Meta":{"k":"v"},"Name":"ngx","Tags":["t1"],"EnableTagOverride":false,"Weights":{"Passing":1,"Warning":1},"Port":80}"#,
        r#"{"ID":"app-1","Name":"app","Tags":[],"Address":"h","Meta":{"secure":"false"},"Port":8080,"EnableTagOverride":null,"Check":{"Args":null,"DockerContainerID":null,"Shell":null,"Interval":null,"TTL":"30s","HTTP":null,"Method":null,"Header":{},"TCP":null,"Timeout":null,"DeregisterCriticalServiceAfter":null,"TLSSkipVerify":null,"Status":null,"GRPC":null,"GRPCUseTLS":null},"Checks":null}"#,
        r#"{"NAME":"low","enable_tag_override":true,"tagged_addresses":{"lan":{"address":"10.1.1.1","port":5}},"check":{"ttl":"30s","deregister_critical_service_after":"10m","script_args":null}}"#,
        r#"{"Name":"w","Meta":null,"Tags":null,"Checks":[],"Proxy":{},"Connect":null,"Kind":""}{"junk":1}"#,
        r#"{"Name":"n","Check":{"TTL":30000000000}}"#,
        r#"{"Name":"e","Check":{}}"#,
        r#"{"Name":"b","ID":"x/y:z","Check":{"TTL":"1s"}}"#,
    ];
    for body in bodies {
        world.register(body).await;
    }
    for check in [
        "service:py1",
        "service%3Ajs1",
        "service:go1?note=ok",
        "service:app-1",
        "service:x/y:z",
        "service%3Ax%2Fy%3Az",
    ] {
        World::ok(&world.put(&format!("/v1/agent/check/pass/{check}"), "").await);
    }
    let checks = world.get("/v1/agent/checks").await.json();
    assert_eq!(checks["service:go1"]["Output"], "ok");
    assert_eq!(checks["service:go1"]["Status"], "passing");
    assert_eq!(checks["service:low"]["Status"], "critical");
    assert!(checks.get("service:e").is_none());
    let low = world.get("/v1/agent/service/low").await.json();
    assert_eq!(low["TaggedAddresses"], json!({"lan": {"Address": "10.1.1.1", "Port": 5}}));
    assert_eq!(low["EnableTagOverride"], true);
    assert_eq!(world.get("/v1/agent/service/x%2Fy%3Az").await.json()["ID"], "x/y:z");
    assert_eq!(world.get("/v1/agent/service/x/y:z").await.status, 200);
    World::ok(
        &world.put("/v1/agent/check/update/service:py1", r#"{"status":"warning","output":"meh"}"#).await,
    );
    assert_eq!(world.get("/v1/health/state/warning").await.json()[0]["Output"], "meh");
    World::ok(
        &world
            .put(
                "/v1/agent/check/register",
                r#"{"name":"extra","id":"extra1","ttl":"10s","notes":"n","serviceid":"py1"}"#,
            )
            .await,
    );
    let extra = &world.get("/v1/agent/checks").await.json()["extra1"];
    assert_eq!(
        (&extra["ServiceName"], &extra["Interval"], &extra["Timeout"]),
        (&json!("pysvc"), &json!("0s"), &json!("0s"))
    );
    World::ok(&world.put("/v1/agent/service/deregister/x/y:z", "").await);
    World::ok(&world.put("/v1/agent/join/10.0.0.2:7946", "").await);
    World::ok(&world.put("/v1/agent/leave", "").await);
}

#[tokio::test]
async fn check_ids_are_generated_as_callers_expect_and_status_survives() {
    let world = World::new();
    world.register(r#"{"Name":"web","ID":"w","Checks":[{"TTL":"9s","Status":"warning"},{"CheckID":"mine","Name":"my check","TTL":"9s","Status":"passing","Notes":"note"}]}"#).await;
    let checks = world.get("/v1/agent/checks").await.json();
    let keys: Vec<&String> = checks.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["mine", "service:w:1"]);
    world
        .register(
            r#"{"Name":"web","ID":"w","Check":{"CheckID":"service:w:1","TTL":"9s","Status":"passing"}}"#,
        )
        .await;
    let checks = world.get("/v1/agent/checks").await.json();
    assert_eq!(checks["service:w:1"]["Status"], "warning");
    assert_eq!(checks["mine"]["Notes"], "note");
    let again = r#"{"Name":"web","ID":"w"}"#;
    World::ok(&world.put("/v1/agent/service/register?replace-existing-checks", again).await);
    assert_eq!(world.get("/v1/agent/checks").await.json(), json!({}));
}

#[tokio::test]
async fn local_health_speaks_in_status_codes() {
    let world = World::new();
    world.register(r#"{"Name":"web","ID":"w1","Check":{"TTL":"9s","Status":"passing"}}"#).await;
    world.register(r#"{"Name":"web","ID":"w2","Check":{"TTL":"9s","Status":"warning"}}"#).await;
    let by = |target: &str| {
        let (world, target) = (world.clone(), format!("/v1/agent/health/service/{target}"));
        async move {
            let answer = world.get(&target).await;
            (answer.status, answer.header("x-consul-reason").to_owned(), answer.body)
        }
    };
    let (status, reason, body) = by("id/w1").await;
    assert_eq!((status, reason.as_str()), (200, "passing"));
    assert!(body.starts_with(r#"{"AggregatedStatus":"passing","Service":{"ID":"w1""#), "{body}");
    assert_eq!(by("id/w2?format=text").await, (429, "warning".to_owned(), "warning".to_owned()));
    assert_eq!(by("name/web?format=text").await.0, 429);
    World::ok(&world.put("/v1/agent/check/fail/service:w2", "").await);
    assert_eq!(by("name/web?format=text").await, (503, "critical".to_owned(), "critical".to_owned()));
    World::ok(&world.put("/v1/agent/maintenance?enable=True&reason=why", "").await);
    let (status, reason, _) = by("id/w1").await;
    assert_eq!((status, reason.as_str()), (503, "maintenance"));
    let checks = world.get("/v1/agent/checks").await.json();
    assert_eq!(checks["_node_maintenance"]["Notes"], "why");
    assert_eq!(checks["_node_maintenance"]["Type"], "maintenance");
    World::ok(&world.put("/v1/agent/maintenance?enable=false", "").await);
    assert_eq!(by("id/w1").await.0, 200);
    let gone = r#"{"AggregatedStatus":"critical","Service":null,"Checks":null}"#;
    assert_eq!(by("id/zz").await, (404, "ServiceId zz not found".to_owned(), gone.to_owned()));
    assert_eq!(by("name/zz").await, (404, "ServiceName zz Not Found".to_owned(), "[]".to_owned()));
    assert_eq!(by("name/zz?format=text").await.2, "ServiceName zz Not Found");
}

#[tokio::test]
async fn pretty_answers_are_indented() {
    let world = World::new();
    assert_eq!(world.get("/v1/catalog/datacenters?pretty").await.body, "[\n    \"dc1\"\n]\n");
}
