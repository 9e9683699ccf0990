//! What real clients ask, in the order in which they do, and that the answers are what their
//! decoders accept.
//!
//! Decoders differ in what they forgive. Go's client wants maps of maps in `agent/self` and
//! unsigned indexes, its users cast indexes to signed ones; Java's wants lists where lists are
//! declared, never null; resty and VictoriaMetrics read the index as a number of 63 bits.

use super::super::world::{Answer, World, service_record};
use super::world;
use crate::model::MemberStatus;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// As Go declares it: one plain value at the top breaks every user of the library.
type AgentSelf = BTreeMap<String, Option<BTreeMap<String, Value>>>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "decoding is the test")]
struct Node {
    #[serde(rename = "ID")]
    id: String,
    node: String,
    address: String,
    datacenter: String,
    tagged_addresses: BTreeMap<String, String>,
    meta: BTreeMap<String, String>,
    create_index: u64,
    modify_index: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "decoding is the test")]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    service: String,
    tags: Vec<String>,
    address: String,
    meta: BTreeMap<String, String>,
    port: i32,
    weights: BTreeMap<String, i32>,
    enable_tag_override: bool,
}

/// Lower-case words in an enumeration, as Java's decoders have it.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Passing,
    Warning,
    Critical,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "decoding is the test")]
struct Check {
    node: String,
    #[serde(rename = "CheckID")]
    check_id: String,
    name: String,
    status: Status,
    notes: String,
    output: String,
    #[serde(rename = "ServiceID")]
    service_id: String,
    service_name: String,
    service_tags: Vec<String>,
    definition: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    node: Node,
    service: Service,
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "decoding is the test")]
struct CatalogService {
    #[serde(rename = "ID")]
    id: String,
    node: String,
    address: String,
    node_meta: BTreeMap<String, String>,
    #[serde(rename = "ServiceID")]
    service_id: String,
    service_name: String,
    service_address: String,
    service_tags: Vec<String>,
    service_meta: BTreeMap<String, String>,
    service_port: i32,
    service_proxy: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code, reason = "decoding is the test")]
struct Member {
    name: String,
    addr: std::net::IpAddr,
    port: u16,
    tags: BTreeMap<String, String>,
    status: u8,
    protocol_max: u8,
    delegate_cur: u8,
}

#[track_caller]
fn decode<'a, T: Deserialize<'a>>(answer: &'a Answer) -> T {
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap_or_else(|e| panic!("{e}: {}", answer.body))
}

/// The index as a client reads it that has only signed numbers.
#[track_caller]
fn index(answer: &Answer) -> i64 {
    answer.header("x-consul-index").parse().expect("a number of 63 bits")
}

/// Keys as Go and resty send them: the query in the order of the alphabet.
async fn ask(world: &World, target: &str) -> Answer {
    world.get(target).await
}

/// Asks again at the index that came, with something changed meanwhile: what a watch does.
async fn watch(world: &World, target: &str, act: impl FnOnce(&World)) -> Answer {
    let first = ask(world, target).await;
    let sign = if target.contains('?') { '&' } else { '?' };
    let again = format!("{target}{sign}index={}", index(&first));
    let blocked = tokio::spawn({
        let (world, again) = (world.clone(), again.clone());
        async move { ask(&world, &again).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(!blocked.is_finished(), "{again} did not wait");
    act(world);
    let woken = blocked.await.expect("no panic");
    assert!(index(&woken) > index(&first), "{again}: an index that does not rise is no news to clients");
    woken
}

fn another(world: &World) {
    world.service("n2", service_record("web3", "web", &["prom", "a"], 9_092));
}

#[tokio::test(start_paused = true)]
async fn prometheus_discovers_services_and_their_instances() {
    let world = world().await;
    let own: AgentSelf = decode(&ask(&world, "/v1/agent/self").await);
    let config = own["Config"].as_ref().expect("not null");
    assert_eq!(config["Datacenter"], "dc1");
    let names: BTreeMap<String, Vec<String>> =
        decode(&ask(&world, "/v1/catalog/services?stale=&wait=120000ms").await);
    assert_eq!(names.keys().collect::<Vec<_>>(), ["db", "web"]);
    let woken = watch(&world, "/v1/health/service/web?stale=&tag=prom&tag=a&wait=120000ms", another).await;
    let entries: Vec<Entry> = decode(&woken);
    assert_eq!(entries.len(), 2);
    let address = |e: &Entry| match e.service.address.as_str() {
        "" => format!("{}:{}", e.node.address, e.service.port),
        own => format!("{own}:{}", e.service.port),
    };
    assert_eq!(entries.iter().map(address).collect::<Vec<_>>(), ["10.0.0.1:9090", "10.0.0.2:9092"]);
    // It sends these without having credentials.
    let mut request = World::request("GET", "/v1/catalog/services?node-meta=rack%3Ar1&wait=120000ms", "");
    request.headers_mut().insert("authorization", "Basic Og==".parse().expect("valid"));
    let names: BTreeMap<String, Vec<String>> = decode(&world.send(request).await);
    assert_eq!(names.keys().collect::<Vec<_>>(), ["web"]);
}

#[tokio::test(start_paused = true)]
async fn traefik_watches_the_list_of_services_and_the_state_of_all_checks() {
    let world = world().await;
    let woken = watch(&world, "/v1/catalog/services?wait=15000ms", |world| {
        world.service("n2", service_record("tw", "tw", &["traefik.enable=true"], 1));
    })
    .await;
    let names: BTreeMap<String, Vec<String>> = decode(&woken);
    assert_eq!(names["tw"], ["traefik.enable=true"]);
    let woken = watch(&world, "/v1/health/state/any?wait=15000ms", |world| {
        world.node("n2", 2, MemberStatus::Failed);
    })
    .await;
    let checks: Vec<Check> = decode(&woken);
    let failed: Vec<&str> =
        checks.iter().filter(|c| c.status == Status::Critical).map(|c| c.node.as_str()).collect();
    assert_eq!(failed, ["n2"]);
    let found: Vec<CatalogService> = decode(&ask(&world, "/v1/catalog/service/tw").await);
    assert!(!found[0].id.is_empty(), "nodes are told apart by their identifiers");
    decode::<Vec<Entry>>(&ask(&world, "/v1/health/service/tw?tag=traefik.enable%3Dtrue").await);
}

#[tokio::test(start_paused = true)]
async fn consul_template_renders_and_waits() {
    let world = world().await;
    let woken =
        watch(&world, "/v1/health/service/web?near=_agent&passing=1&stale=&wait=60000ms", another).await;
    assert_eq!(decode::<Vec<Entry>>(&woken).len(), 2);
    // A view this old would make it ask again, without stale.
    assert!(woken.header("x-consul-lastcontact").parse::<u64>().is_ok_and(|ms| ms < 2_000));
    decode::<Vec<Node>>(&ask(&world, "/v1/catalog/nodes?stale=&wait=60000ms").await);
    let node: BTreeMap<String, Value> = decode(&ask(&world, "/v1/catalog/node/n1?stale=&wait=60000ms").await);
    assert!(node["Services"].is_object());
    assert_eq!(decode::<Vec<String>>(&ask(&world, "/v1/catalog/datacenters").await), ["dc1"]);
    // A key with a default: an empty store, which may be waited for.
    let key = ask(&world, "/v1/kv/a/b?stale=&wait=60000ms").await;
    assert_eq!((key.status, index(&key)), (404, 1));
    let start = tokio::time::Instant::now();
    assert_eq!(ask(&world, "/v1/kv/a/b?index=1&stale=&wait=60000ms").await.status, 404);
    assert!(start.elapsed().as_secs() >= 50, "it must not spin");
}

#[tokio::test(start_paused = true)]
async fn fabio_registers_itself_beats_and_routes() {
    let world = world().await;
    decode::<AgentSelf>(&ask(&world, "/v1/agent/self").await);
    assert_eq!(ask(&world, "/v1/kv/fabio/config?consistent=&recurse=").await.status, 404);
    let body = r#"{"ID":"fabio-vm-9998","Name":"fabio","Port":9998,"Address":"127.0.0.1","Check":null,"Checks":[
        {"CheckID":"fabio-vm-9998-ttl","TTL":"15s","DeregisterCriticalServiceAfter":"1m0s"},
        {"Interval":"1s","Timeout":"3s","HTTP":"http://[127.0.0.1]:9998/health"}]}"#;
    world.register(body).await;
    let beat =
        world.put("/v1/agent/check/update/fabio-vm-9998-ttl", r#"{"Status":"passing","Output":""}"#).await;
    World::ok(&beat);
    let checks: Vec<Check> = decode(&ask(&world, "/v1/health/state/any?consistent=").await);
    let ids: Vec<&str> =
        checks.iter().filter(|c| c.service_id == "fabio-vm-9998").map(|c| c.check_id.as_str()).collect();
    assert_eq!(ids, ["fabio-vm-9998-ttl", "service:fabio-vm-9998:2"]);
    assert!(checks.iter().any(|c| c.check_id == "serfHealth" && c.node == "n1"), "it looks for this one");
    decode::<Vec<CatalogService>>(&ask(&world, "/v1/catalog/service/fabio?consistent=").await);
    let woken = watch(&world, "/v1/health/state/any?consistent=", |world| {
        world.node("n2", 2, MemberStatus::Failed);
    })
    .await;
    decode::<Vec<Check>>(&woken);
    World::ok(&world.put("/v1/agent/service/deregister/fabio-vm-9998", "").await);
}

#[tokio::test]
async fn registrator_and_spring_register_and_come_back() {
    let world = world().await;
    assert!(!decode::<String>(&ask(&world, "/v1/status/leader").await).is_empty());
    let registrator = r#"{"ID":"host:web:80","Name":"nginx","Port":80,"Tags":["x"],"Address":"10.1.1.1","Meta":{},
        "Check":{"Status":"passing","HTTP":"http://10.1.1.1:80/","Method":"","Header":null,"Timeout":"2s","ScriptArgs":null,
        "TTL":"","TCP":"","GRPC":"","GRPCUseTLS":false,"TLSSkipVerify":false,"Interval":"10s",
        "DeregisterCriticalServiceAfter":"10m"}}"#;
    world.register(registrator).await;
    let services: BTreeMap<String, Service> = decode(&ask(&world, "/v1/agent/services").await);
    assert_eq!(services["host:web:80"].service, "nginx");
    World::ok(&world.put("/v1/agent/service/deregister/host:web:80", "").await);

    let spring = r#"{"ID":"app-1","Name":"app","Tags":[],"Address":"h","Meta":{"secure":"false"},"Port":8080,
        "EnableTagOverride":null,"Check":{"Args":null,"DockerContainerID":null,"Shell":null,"Interval":null,"TTL":"30s",
        "HTTP":null,"Method":null,"Header":{},"TCP":null,"Timeout":null,"DeregisterCriticalServiceAfter":null,
        "TLSSkipVerify":null,"Status":null,"GRPC":null,"GRPCUseTLS":null},"Checks":null}"#;
    world.register(spring).await;
    World::ok(&world.put("/v1/agent/check/pass/service:app-1?note=", "").await);
    let entries: Vec<Entry> = decode(&ask(&world, "/v1/health/service/app?passing=false").await);
    assert_eq!(entries[0].checks.len(), 2);
    World::ok(&world.put("/v1/agent/service/maintenance/app-1?enable=true&reason=x", "").await);
    let checks: Vec<Check> = decode(&ask(&world, "/v1/health/checks/app").await);
    assert!(
        checks.iter().any(|c| c.name == "Service Maintenance Mode"),
        "its status is looked for by this name"
    );
    World::ok(&world.put("/v1/agent/service/maintenance/app-1?enable=false", "").await);
    let fired = world.send(World::request("POST", "/v1/event/fire/refresh", "x")).await;
    assert_eq!(fired.status, 200);
    // A heartbeat of an agent that forgot is what makes it register again.
    World::ok(&world.put("/v1/agent/service/deregister/app-1", "").await);
    assert_eq!(world.put("/v1/agent/check/pass/service:app-1", "").await.status, 404);
}

#[tokio::test]
async fn vault_and_nomad_keep_their_registrations() {
    let world = world().await;
    let vault = r#"{"Kind":"","ID":"vault:10.0.0.1:8200","Name":"vault","Tags":["standby"],"Port":8200,
        "Address":"10.0.0.1","EnableTagOverride":false,"Check":null,"Checks":null,"Meta":{}}"#;
    world.register(vault).await;
    let check = r#"{"ID":"vault:10.0.0.1:8200:vault-sealed-check","Name":"Vault Sealed Status","Notes":"n",
        "ServiceID":"vault:10.0.0.1:8200","TTL":"15s","Status":"passing"}"#;
    World::ok(&world.put("/v1/agent/check/register", check).await);
    World::ok(
        &world.put("/v1/agent/check/fail/vault:10.0.0.1:8200:vault-sealed-check?note=sealed", "").await,
    );
    // Registering the service again, as it does often, keeps the check and what it says.
    world.register(vault).await;
    let checks: BTreeMap<String, Check> = decode(&ask(&world, "/v1/agent/checks").await);
    let sealed = &checks["vault:10.0.0.1:8200:vault-sealed-check"];
    assert_eq!((&sealed.status, sealed.output.as_str()), (&Status::Critical, "sealed"));
    decode::<Vec<CatalogService>>(&ask(&world, "/v1/catalog/service/vault?stale=").await);

    let own: AgentSelf = decode(&ask(&world, "/v1/agent/self").await);
    let config = own["Config"].as_ref().expect("not null");
    assert!(config["Server"].is_boolean() && config["NodeName"].is_string());
    let version = config["Version"].as_str().expect("a text");
    assert!(
        version.split('.').count() == 3 && !version.contains("ent"),
        "else it is taken for another edition"
    );
    let tags = own["Member"].as_ref().expect("not null")["Tags"].clone();
    assert!(tags["build"].as_str().is_some_and(|build| build.starts_with(&format!("{version}:"))));
    let filtered = ask(&world, "/v1/agent/services?filter=Service+%3D%3D+%22vault%22").await;
    let services: BTreeMap<String, Service> = decode(&filtered);
    // It compares what it sent with what it reads, and registers again for ever when they differ.
    let service = &services["vault:10.0.0.1:8200"];
    assert_eq!(
        (service.address.as_str(), service.port, &service.tags[..]),
        ("10.0.0.1", 8200, &["standby".to_owned()][..])
    );
}

#[tokio::test(start_paused = true)]
async fn readers_of_one_service_find_its_address() {
    let world = world().await;
    // Telegraf, by catalog and tag.
    let found: Vec<CatalogService> = decode(&ask(&world, "/v1/catalog/service/web?tag=prom&dc=dc1").await);
    assert_eq!((found.len(), found[0].service_port), (1, 9_090));
    // APISIX through lua-resty-consul: first without waiting, then at the index that came.
    let woken = watch(&world, "/v1/catalog/service/web?wait=60s", another).await;
    let found: Vec<CatalogService> = decode(&woken);
    assert_eq!(
        found.last().map(|s| s.service_address.as_str()),
        Some(""),
        "no address of its own is an empty one"
    );
    // HAProxy's dataplaneapi, by a regular expression and the sum of checks.
    let names: BTreeMap<String, Vec<String>> =
        decode(&ask(&world, "/v1/catalog/services?filter=ServiceName%20matches%20%22%5Ew%22").await);
    assert_eq!(names.keys().collect::<Vec<_>>(), ["web"]);
    let entries: Vec<Entry> = decode(&ask(&world, "/v1/health/service/web").await);
    assert!(entries.iter().all(|e| !e.checks.is_empty()), "no check at all counts as unhealthy");
    // A resolver for gRPC.
    decode::<Vec<Entry>>(&ask(&world, "/v1/health/service/web?passing=1&tag=prom").await);
}

#[tokio::test]
async fn exporters_and_log_shippers_find_what_they_count() {
    let world = world().await;
    // consul_exporter.
    assert!(!decode::<Vec<String>>(&ask(&world, "/v1/status/peers").await).is_empty());
    decode::<String>(&ask(&world, "/v1/status/leader").await);
    decode::<Vec<Node>>(&ask(&world, "/v1/catalog/nodes?stale=").await);
    let members: Vec<Member> = decode(&ask(&world, "/v1/agent/members").await);
    assert_eq!(members.len(), 2);
    assert!(decode::<Option<Vec<Member>>>(&ask(&world, "/v1/agent/members?wan=1").await).is_none());
    let names: BTreeMap<String, Vec<String>> = decode(&ask(&world, "/v1/catalog/services?stale=").await);
    for name in names.keys() {
        decode::<Vec<Entry>>(&ask(&world, &format!("/v1/health/service/{name}?stale=")).await);
    }
    decode::<Vec<Check>>(&ask(&world, "/v1/health/state/any?stale=").await);
    // Promtail and Alloy, of this host alone; they decode the member of agent/self as one.
    let own: BTreeMap<String, Value> = decode(&ask(&world, "/v1/agent/self").await);
    serde_json::from_value::<Member>(own["Member"].clone()).expect("a member");
    assert!(own["Meta"].is_object() && own["Config"]["NodeName"].is_string());
    let answer = ask(&world, "/v1/agent/health/service/name/web?format=json").await;
    assert!([200, 429, 503].contains(&answer.status));
    let list: Vec<BTreeMap<String, Value>> =
        serde_json::from_str(&answer.body).expect("a list whatever the status");
    assert_eq!(list.len(), 2);
    assert_eq!(ask(&world, "/v1/agent/health/service/name/none?format=json").await.status, 404);
}

#[tokio::test]
async fn keys_of_bodies_have_no_case_and_null_is_nothing() {
    let world = World::new();
    for (body, id) in [
        (r#"{"NAME":"a","id":"a1","TAGS":["x"],"enable_tag_override":true,"check":{"ttl":"9s"}}"#, "a1"),
        (r#"{"Name":"b","ID":"b1","Tags":null,"Meta":null,"Check":null,"Weights":null}"#, "b1"),
    ] {
        world.register(body).await;
        let service: Service = decode(&ask(&world, &format!("/v1/agent/service/{id}")).await);
        assert_eq!(service.enable_tag_override, id == "a1");
    }
}
