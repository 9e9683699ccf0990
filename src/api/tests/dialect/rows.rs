//! The rows.

use super::Want::{Begins, Empty, Json, Shape, Text};
use super::{Row, get, put, read};

const NODE: &str = "ID:s Node:s Address:s Datacenter:s TaggedAddresses:o Meta:o CreateIndex:n ModifyIndex:n";
const SERVICE_NODE: &str = "ID:s Node:s Address:s Datacenter:s TaggedAddresses:o NodeMeta:o ServiceKind:s \
    ServiceID:s ServiceName:s ServiceTags:l ServiceAddress:s ServiceTaggedAddresses:o ServiceWeights:o \
    ServiceMeta:o ServicePort:n ServiceSocketPath:s ServiceEnableTagOverride:b ServiceProxy:o ServiceConnect:o \
    ServiceLocality:0 CreateIndex:n ModifyIndex:n";
const CHECK: &str = "Node:s CheckID:s Name:s Status:s Notes:s Output:s ServiceID:s ServiceName:s ServiceTags:l \
    Type:s Interval:s Timeout:s ExposedPort:n Definition:o CreateIndex:n ModifyIndex:n";
const AGENT_SERVICE: &str = "ID:s Service:s Tags:l Meta:o Port:n Address:s TaggedAddresses:o Weights:o \
    EnableTagOverride:b ContentHash:s Datacenter:s";
const MEMBER: &str = "Name:s Addr:s Port:n Tags:o Status:n ProtocolMin:n ProtocolMax:n ProtocolCur:n \
    DelegateMin:n DelegateMax:n DelegateCur:n";
const EVENT: &str = "ID:s Name:s Payload:s NodeFilter:s ServiceFilter:s TagFilter:s Version:n LTime:n";

pub(super) const READS: &[Row] = &[
    get("/v1/catalog/datacenters", 200, Json(r#"["dc1"]"#)),
    read("/v1/catalog/nodes", Shape("l", NODE)),
    read("/v1/catalog/services", Json(r#"{"db":[],"web":["a","prom"]}"#))
        .ours("there are no servers, so there is no service named consul"),
    read("/v1/catalog/service/web", Shape("l", SERVICE_NODE)),
    read("/v1/catalog/service/nope", Json("[]")),
    read("/v1/catalog/node/n1", Shape("o", "Node:o Services:o")),
    read("/v1/catalog/node/0101", Shape("o", "Node:o Services:o")),
    read("/v1/catalog/node/nope", Json("null")),
    read("/v1/catalog/node-services/n2", Shape("o", "Node:o Services:l")),
    read("/v1/catalog/node-services/nope", Json(r#"{"Node":null,"Services":null}"#)),
    read("/v1/health/service/web", Shape("l", "Node:o Service:o Checks:l")),
    read("/v1/health/service/WEB?passing", Shape("l", "Node:o Service:o Checks:l")),
    read("/v1/health/service/nope", Json("[]")),
    read("/v1/health/checks/web", Shape("l", CHECK)),
    read("/v1/health/checks/nope", Json("[]")),
    read("/v1/health/node/n1", Shape("l", CHECK)),
    read("/v1/health/node/nope", Json("[]")),
    read("/v1/health/state/any", Shape("l", CHECK)),
    read("/v1/health/state/warning", Shape("l", CHECK)),
    read("/v1/health/state/critical", Json("[]")),
    read("/v1/health/state/unheard-of", Json("[]")),
    read("/v1/coordinate/nodes", Json("[]")),
    get("/v1/coordinate/node/n1", 404, Empty).indexed(),
    get("/v1/coordinate/datacenters", 200, Shape("l", "Datacenter:s AreaID:s Coordinates:l")),
    get("/v1/catalog/service/", 400, Text("Missing service name")),
    get("/v1/catalog/node/", 400, Text("Missing node name")),
    get("/v1/catalog/node-services/", 400, Text("Missing node name")),
    get("/v1/health/service/", 400, Text("Missing service name")),
    get("/v1/health/checks/", 400, Text("Missing service name")),
    get("/v1/health/node/", 400, Text("Missing node name")),
    get("/v1/health/state/", 400, Text("Missing check state")),
    get("/v1/status/leader", 200, Json(r#""10.0.0.1:8300""#))
        .ours("there is no leader: any address says that the cluster works"),
    get("/v1/status/peers", 200, Json(r#"["10.0.0.1:8300","10.0.0.2:8300"]"#))
        .ours("the live members stand for servers, of which there are none"),
    get("/", 200, Text("Shoal Agent")).ours("the greeting names the program that answers"),
    get("/v1/nope", 404, Begins("Invalid URL path: not a recognized HTTP API endpoint")),
    get("/v1/events", 404, Begins("Invalid URL path: not a recognized HTTP API endpoint")),
    get("/nope", 404, Begins("Invalid URL path: if attempting to use the HTTP API")),
];

const UNKNOWN_CHECK: &str =
    "Unknown check ID \"nope\". Ensure that the check ID is passed, not the check name.";
const UNKNOWN_SERVICE: &str =
    "Unknown service ID \"nope\". Ensure that the service ID is passed, not the service name.";

pub(super) const AGENT: &[Row] = &[
    get("/v1/agent/services", 200, Shape("o", "web1:o web2:o")),
    get("/v1/agent/service/web1", 200, Shape("o", AGENT_SERVICE)),
    get("/v1/agent/service/nope", 404, Text("unknown service ID: nope")),
    get("/v1/agent/service/", 404, Text("unknown service ID: ")),
    get("/v1/agent/checks", 200, Shape("o", "mine:o service:web1:o service:web2:1:o")),
    get("/v1/agent/health/service/id/web1", 200, Shape("o", "AggregatedStatus:s Service:o Checks:l")),
    get("/v1/agent/health/service/id/web2", 429, Shape("o", "AggregatedStatus:s Service:o Checks:l")),
    get("/v1/agent/health/service/id/web2?format=text", 429, Text("warning")),
    get(
        "/v1/agent/health/service/id/nope",
        404,
        Json(r#"{"AggregatedStatus":"critical","Service":null,"Checks":null}"#),
    ),
    get("/v1/agent/health/service/id/nope?format=text", 404, Text("ServiceId nope not found")),
    get("/v1/agent/health/service/id/", 500, Text("Missing serviceID")),
    get("/v1/agent/health/service/name/web", 429, Shape("l", "AggregatedStatus:s Service:o Checks:l")),
    get("/v1/agent/health/service/name/nope", 404, Json("[]")),
    get("/v1/agent/health/service/name/nope?format=text", 404, Text("ServiceName nope Not Found")),
    get("/v1/agent/health/service/name/", 500, Text("Missing service Name")),
    get("/v1/agent/self", 200, Shape("o", "Config:o DebugConfig:o Coord:0 Member:o Stats:o Meta:o")),
    get("/v1/agent/members", 200, Shape("l", MEMBER)),
    get("/v1/agent/members?wan=1", 200, Json("null")),
    get("/v1/agent/members?segment=x", 500, Text("segment \"x\" not found")),
    get("/v1/agent/version", 200, Shape("o", "SHA:s BuildDate:s HumanVersion:s FIPS:s")),
    get("/v1/agent/metrics", 200, Shape("o", "Timestamp:s Gauges:l Points:l Counters:l Samples:l"))
        .ours("counters are of the time since the start: nobody keeps samples of ten seconds"),
    get("/v1/agent/host", 200, Shape("o", "Memory:0 CPU:0 Host:o Disk:0 CollectionTime:n Errors:0"))
        .ours("answers come from memory; what the host has, its own tools tell"),
    get("/v1/agent/monitor?loglevel=loud", 400, Text("Unknown log level: loud")),
    put("/v1/agent/check/warn/service:web1?note=hmm", "", 200, Empty),
    get("/v1/agent/health/service/id/web1?format=text", 429, Text("warning")),
    put("/v1/agent/check/pass/service%3Aweb1", "", 200, Empty),
    put("/v1/agent/check/fail/service:web1", "", 200, Empty),
    get("/v1/agent/health/service/id/web1?format=text", 503, Text("critical")),
    put("/v1/agent/check/update/service:web1", r#"{"Status":"passing","Output":"x"}"#, 200, Empty),
    put("/v1/agent/check/update/nope", r#"{"Status":"passing"}"#, 404, Text(UNKNOWN_CHECK)),
    put("/v1/agent/check/update/nope", r#"{"Status":"odd"}"#, 400, Text("Invalid check status: 'odd'")),
    put("/v1/agent/check/pass/nope", "", 404, Text(UNKNOWN_CHECK)),
    put(
        "/v1/agent/check/register",
        r#"{"Name":"hc","ID":"hc","HTTP":"http://127.0.0.1:1/","Interval":"60s"}"#,
        200,
        Empty,
    ),
    put("/v1/agent/check/pass/hc", "", 500, Text("CheckID \"hc\" does not have associated TTL")),
    put("/v1/agent/check/register", r#"{"HTTP":"x","Interval":"10s"}"#, 400, Text("Missing check name")),
    put(
        "/v1/agent/check/register",
        r#"{"Name":"c","TTL":"10s","Status":"odd"}"#,
        400,
        Text("Bad check status"),
    ),
    put(
        "/v1/agent/check/register",
        r#"{"Name":"c","TTL":"10s","ServiceID":"zz"}"#,
        404,
        Text("ServiceID \"zz\" does not exist"),
    ),
    put(
        "/v1/agent/check/register",
        r#"{"Name":"c"}"#,
        400,
        Text("Invalid check: TTL must be > 0 for TTL checks"),
    ),
    put("/v1/agent/check/register", r#"{"CheckID":"c9","Name":"c","TTL":"5s"}"#, 200, Empty)
        .ours("some clients write CheckID where Consul wants ID, and refusing that helps nobody"),
    put("/v1/agent/check/deregister/c9", "", 200, Empty),
    put("/v1/agent/check/deregister/nope", "", 404, Text(UNKNOWN_CHECK)),
    put("/v1/agent/check/deregister/hc", "", 200, Empty),
    put("/v1/agent/service/register", r#"{"Name":"a","Check":{}}"#, 200, Empty),
    put("/v1/agent/service/register", r#"{"Name":"a","Namespace":"default"}"#, 200, Empty)
        .ours("clients of editions with namespaces name the default one, which is the only one here"),
    put(
        "/v1/agent/service/register",
        r#"{"Name":"a","Port":70000}"#,
        400,
        Text("Invalid Port 70000: want 0 to 65535"),
    )
    .ours("no such port exists, and the caller should hear of it"),
    put(
        "/v1/agent/service/register",
        r#"{"Name":"a","Check":{"Args":["true"],"Interval":"10s"}}"#,
        500,
        Begins("Scripts are disabled on this agent from remote calls"),
    ),
    put(
        "/v1/agent/service/register",
        r#"{"Name":"a","Kind":"connect-proxy"}"#,
        400,
        Text("Connect is not supported"),
    )
    .ours("a proxy that nobody configures would be worse than none"),
    put("/v1/agent/service/deregister/a", "", 200, Empty),
    put("/v1/agent/service/deregister/nope", "", 404, Text(UNKNOWN_SERVICE)),
    put("/v1/agent/service/deregister/", "", 404, Begins("Unknown service ID \"\""))
        .ours("an empty id is one that is not there; Consul fails inside"),
    put("/v1/agent/service/maintenance/web1?enable=true", "", 200, Empty),
    get("/v1/agent/health/service/id/web1?format=text", 503, Text("maintenance")),
    put("/v1/agent/service/maintenance/web1?enable=false", "", 200, Empty),
    put("/v1/agent/service/maintenance/nope?enable=true", "", 404, Text(UNKNOWN_SERVICE)),
    put("/v1/agent/service/maintenance/web1", "", 400, Text("Missing value for enable")),
    put("/v1/agent/service/maintenance/", "", 400, Text("Missing service ID")),
    put("/v1/agent/maintenance?enable=True&reason=why", "", 200, Empty),
    get("/v1/agent/health/service/name/web?format=text", 503, Text("maintenance")),
    put("/v1/agent/maintenance?enable=false", "", 200, Empty),
    put("/v1/agent/maintenance?enable=x", "", 400, Text("Invalid value for enable: \"x\"")),
    put("/v1/agent/join/10.0.0.9", "", 200, Empty),
    put("/v1/agent/join/dead:1", "", 500, Begins("no answer")),
    put("/v1/agent/force-leave/zz", "", 500, Text("agent: No node found with name 'zz'")),
    put("/v1/agent/reload", "", 500, Begins("a.toml")),
    put("/v1/event/fire/deploy", "hi", 200, Shape("o", EVENT)),
    put("/v1/event/fire/", "", 400, Text("Missing name")),
    put(
        "/v1/catalog/register",
        r#"{"Node":"n1","Address":"10.0.0.1","Service":{"Service":"own","Port":5}}"#,
        200,
        Json("true"),
    ),
    read("/v1/catalog/service/own?filter=ServicePort==5", Shape("l", SERVICE_NODE_PLAIN)),
    put("/v1/catalog/deregister", r#"{"Node":"n1","ServiceID":"own"}"#, 200, Json("true")),
    put(
        "/v1/catalog/register",
        r#"{"Node":"ext","Address":"10.9.9.9","Service":{"Service":"s"}}"#,
        501,
        Begins("catalog/register for other nodes is not supported"),
    )
    .ours("every agent owns its own entries and nobody else's"),
    put(
        "/v1/catalog/deregister",
        r#"{"Node":"ext"}"#,
        501,
        Begins("catalog/deregister for other nodes is not supported"),
    )
    .ours("every agent owns its own entries and nobody else's"),
];

/// Without an address of its own an instance has no tagged addresses.
const SERVICE_NODE_PLAIN: &str = "ID:s Node:s Address:s Datacenter:s TaggedAddresses:o NodeMeta:o ServiceKind:s \
    ServiceID:s ServiceName:s ServiceTags:l ServiceAddress:s ServiceWeights:o ServiceMeta:o ServicePort:n \
    ServiceSocketPath:s ServiceEnableTagOverride:b ServiceProxy:o ServiceConnect:o ServiceLocality:0 \
    CreateIndex:n ModifyIndex:n";

const ENTRY: &str = "Node:o Service:o Checks:l";

pub(super) const PARAMETERS: &[Row] = &[
    read("/v1/health/service/web?dc=dc1", Shape("l", ENTRY)),
    read("/v1/health/service/web?dc=", Shape("l", ENTRY)),
    get("/v1/health/service/web?dc=mars", 500, Text("No path to datacenter")),
    get("/v1/health/service/web?dc=dc1&datacenter=mars", 500, Text("No path to datacenter")),
    read("/v1/health/service/web?stale", Shape("l", ENTRY)),
    read("/v1/health/service/web?consistent=", Shape("l", ENTRY))
        .ours("the table is this agent's, and the header says so: stale"),
    read("/v1/health/service/web?leader", Shape("l", ENTRY)),
    get("/v1/health/service/web?stale&consistent", 400, Begins("Cannot specify ?stale with ?consistent")),
    read("/v1/health/service/web?max_stale=10s", Shape("l", ENTRY)),
    get("/v1/health/service/web?max_stale=x", 400, Text("Invalid max_stale value \"x\"")),
    read("/v1/health/service/web?cached", Shape("l", ENTRY)),
    get("/v1/health/service/web?cached&consistent", 400, Begins("Cannot specify ?cached with ?consistent")),
    read("/v1/health/service/web?index=0&wait=5s", Shape("l", ENTRY)),
    read("/v1/health/service/web?index=1&wait=120000ms", Shape("l", ENTRY)),
    get("/v1/health/service/web?wait=60", 400, Text("Invalid wait time")),
    get("/v1/health/service/web?index=x", 400, Text("Invalid index")),
    read("/v1/health/service/web?passing=1&tag=A&tag=PROM", Shape("l", ENTRY)),
    read("/v1/health/service/web?passing=false", Shape("l", ENTRY)),
    get("/v1/health/service/web?passing=maybe", 400, Text("Invalid value for ?passing")),
    read("/v1/health/service/web?tag=prom&tag=zz", Json("[]")),
    read("/v1/health/checks/web?tag=zz", Shape("l", CHECK)),
    read("/v1/health/service/web?near=_agent", Shape("l", ENTRY)),
    read("/v1/health/service/web?near=zz", Shape("l", ENTRY)),
    read("/v1/health/service/web?node-meta=rack:r1", Shape("l", ENTRY)),
    read("/v1/health/service/web?node-meta=rack:R1", Json("[]")),
    read("/v1/health/service/web?node-meta=rack", Json("[]")),
    read("/v1/catalog/nodes?node-meta=rack%3Ar2&node-meta=a:b", Json("[]")),
    read("/v1/catalog/services?node-meta=a:b", Json("{}")),
    read("/v1/catalog/services?filter=ServiceName%3D%3Ddb", Json(r#"{"db":[]}"#)),
    read("/v1/health/service/web?filter=", Shape("l", ENTRY)),
    get(
        "/v1/health/service/web?filter=bogus",
        400,
        Begins("Failed to create boolean expression evaluator: "),
    )
    .ours("a bad expression is the caller's fault: 400 and not 500, which asks to try again"),
    get(
        "/v1/agent/services?filter=Nope==1",
        400,
        Text("Failed to create boolean expression evaluator: Selector \"Nope\" is not valid"),
    )
    .ours("a bad expression is the caller's fault: 400 and not 500, which asks to try again"),
    read("/v1/health/service/web?ns=default", Shape("l", ENTRY))
        .ours("the default namespace is the only one there is, so naming it is right"),
    get("/v1/health/service/web?ns=x", 400, Begins("Invalid query parameter: \"ns\" - ")),
    read("/v1/health/service/web?partition=default", Shape("l", ENTRY)),
    get("/v1/agent/services?partition=x", 400, Begins("Invalid query parameter: \"partition\" - ")),
    read("/v1/health/service/web?peer=other", Json("[]"))
        .ours("there is no peering, so nothing was imported from a peer"),
    read("/v1/health/service/web?merge-central-config&sg=x&segment=y&global&connect=", Shape("l", ENTRY)),
    read("/v1/health/service/web?token=abc&what=ever", Shape("l", ENTRY)),
    get("/v1/health/service/web?%zz", 500, Begins("")),
];

pub(super) const ABSENT: &[Row] = &[
    get("/v1/kv/some/key", 404, Empty).indexed(),
    get("/v1/kv/some?recurse", 404, Empty).indexed(),
    get("/v1/kv/?keys", 200, Json("[]")).indexed(),
    put("/v1/kv/some/key", "v", 501, Begins("the key/value store is not supported"))
        .ours("a store needs consensus, which a directory without servers has not"),
    put("/v1/txn", "[]", 501, Begins("transactions are not supported"))
        .ours("a store needs consensus, which a directory without servers has not"),
    get("/v1/session/list", 501, Begins("sessions are not supported"))
        .ours("a lock that two may hold in a partition must not look like one"),
    put("/v1/session/create", "", 501, Begins("sessions are not supported"))
        .ours("a lock that two may hold in a partition must not look like one"),
    get("/v1/acl/tokens", 401, Text("ACL support disabled")),
    put("/v1/agent/token/default", "{}", 401, Text("ACL support disabled")),
    get("/v1/query", 200, Json("[]")).indexed(),
    get("/v1/query/x/execute", 404, Text("Query not found")),
    get("/v1/operator/raft/configuration", 501, Begins("operator endpoints are not supported"))
        .ours("there are no servers that could be operated"),
    get("/v1/config/service-defaults", 501, Begins("configuration entries are not supported"))
        .ours("there is no mesh that they would configure"),
    get("/v1/connect/ca/roots", 501, Begins("Connect is not supported")).ours("there is no mesh here"),
    get("/v1/health/connect/web", 501, Begins("Connect is not supported")).ours("there is no mesh here"),
    get("/v1/snapshot", 501, Begins("snapshots are not supported"))
        .ours("there is no log that a snapshot could be taken of"),
    put("/v1/coordinate/update", "{}", 501, Begins("coordinate/update is not supported"))
        .ours("agents measure; what others say of their place would mislead"),
];

/// Paths with the methods that `Allow` names, and why they differ from Consul's.
pub(super) const METHODS: &[(&str, &str, Option<&str>)] = &[
    ("/v1/agent/services", "OPTIONS,GET", None),
    ("/v1/agent/service/register", "OPTIONS,PUT", None),
    ("/v1/agent/service/deregister/x", "OPTIONS,PUT", None),
    ("/v1/agent/service/maintenance/x", "OPTIONS,PUT", None),
    ("/v1/agent/check/pass/x", "OPTIONS,PUT", None),
    ("/v1/agent/join/x", "OPTIONS,PUT", None),
    ("/v1/agent/leave", "OPTIONS,PUT", None),
    ("/v1/agent/reload", "OPTIONS,PUT", None),
    ("/v1/agent/maintenance", "OPTIONS,PUT", None),
    ("/v1/agent/monitor", "OPTIONS,GET", None),
    ("/v1/catalog/register", "OPTIONS,PUT", None),
    ("/v1/catalog/service/x", "OPTIONS,GET", None),
    ("/v1/health/service/x", "OPTIONS,GET", None),
    ("/v1/coordinate/update", "OPTIONS,PUT", None),
    ("/v1/event/fire/x", "OPTIONS,PUT,POST", Some("Spring's client fires events with POST")),
    ("/v1/event/list", "OPTIONS,GET", None),
    ("/v1/kv/x", "OPTIONS,GET,PUT,DELETE", None),
    ("/v1/query", "OPTIONS,GET,POST", None),
    ("/v1/txn", "OPTIONS,PUT", None),
    ("/v1/status/leader", "OPTIONS,GET", None),
];
