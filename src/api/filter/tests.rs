//! Expressions and what they keep.

use super::*;
use serde_json::json;

fn services() -> Vec<Value> {
    vec![
        json!({"ID": "f1", "Service": "flt", "Tags": ["Blue", "v2"], "Meta": {"env": "prod"}, "Port": 80,
            "Address": "", "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": true}),
        json!({"ID": "f2", "Service": "flt", "Tags": [], "Meta": {}, "Port": 81, "Address": "10.0.0.1",
            "TaggedAddresses": {"lan_ipv4": {"Address": "10.0.0.1", "Port": 81}},
            "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": false}),
        json!({"ID": "w1", "Service": "web", "Tags": ["v2"], "Meta": {}, "Port": 9090, "Address": "",
            "Weights": {"Passing": 10, "Warning": 1}, "EnableTagOverride": false}),
    ]
}

fn kept(expression: &str) -> Result<Vec<String>, String> {
    let filter = Filter::parse(expression, AGENT_SERVICE).map_err(|f| f.text)?;
    let ids = services()
        .into_iter()
        .filter(|item| filter.keeps(item))
        .map(|item| item["ID"].as_str().expect("a text").to_owned())
        .collect();
    Ok(ids)
}

#[test]
fn expressions_keep_what_they_say() {
    let all = ["f1", "f2", "w1"].as_slice();
    let cases: &[(&str, &[&str])] = &[
        ("", all),
        ("  ", all),
        ("Service == flt", &["f1", "f2"]),
        ("Service==flt", &["f1", "f2"]),
        (" Service == \"fl\\u0074\" ", &["f1", "f2"]),
        ("Service == `flt`", &["f1", "f2"]),
        ("(Service == flt)", &["f1", "f2"]),
        ("Service == flt\tand\nPort==80", &["f1"]),
        ("Service == flt or Service == web and Port == 9090", all),
        ("(Service == flt or Service == web) and Port == 9090", &["w1"]),
        ("not Service == flt", &["w1"]),
        ("not (Service == flt or Port == 1)", &["w1"]),
        ("not not Service == flt", &["f1", "f2"]),
        ("Service != flt", &["w1"]),
        ("EnableTagOverride == 1", &["f1"]),
        ("Port == \"0x50\"", &["f1"]),
        ("Blue in Tags", &["f1"]),
        ("\"blue\" in Tags", &[]),
        ("v2 not in Tags", &["f2"]),
        ("Tags contains \"v2\"", &["f1", "w1"]),
        ("Tags not contains v2", &["f2"]),
        ("Tags is empty", &["f2"]),
        ("Tags is not empty", &["f1", "w1"]),
        ("Meta.env == prod", &["f1"]),
        ("Meta[\"env\"] == \"prod\"", &["f1"]),
        ("Meta.env != prod", &["f2", "w1"]),
        ("Meta.env matches \"^pr\"", &["f1"]),
        ("Meta.env not matches \"^pr\"", &["f2", "w1"]),
        ("Meta.nokey == \"\"", &[]),
        ("env in Meta", &["f1"]),
        ("\"zz\" not in Meta", all),
        ("Meta is empty", &["f2", "w1"]),
        ("Service matches \"fl|xx\"", &["f1", "f2"]),
        ("fl in Service", &["f1", "f2"]),
        ("Service contains fl", &["f1", "f2"]),
        ("Weights.Passing == 10", &["w1"]),
        ("TaggedAddresses.lan_ipv4.Address == \"10.0.0.1\"", &["f2"]),
        ("TaggedAddresses is empty", &["f1", "w1"]),
        ("lan_ipv4 in TaggedAddresses", &["f2"]),
        ("ID == f1 or ID == w1", &["f1", "w1"]),
    ];
    for (expression, want) in cases {
        let want: Vec<String> = want.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(kept(expression), Ok(want), "{expression}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let cases = [
        ("Service == 'flt'", "1:12 (11)"),
        ("Service == flt AND Port == 80", "1:16 (15)"),
        ("Service == flt and Port==0x50", "Invalid number literal"),
        ("Address == 127.0.0.1", "Invalid number literal"),
        ("Port > 80", "no match found"),
        ("Service ==", "no match found"),
        ("bogus", "no match found"),
        ("Port == abc", "Failed to coerce value \"abc\" for selector \"Port\""),
        ("Port matches \"8\"", "Invalid match operator \"Matches\" for selector \"Port\""),
        ("Service is empty", "Invalid match operator \"Is Empty\" for selector \"Service\""),
        ("Tags == Blue", "Invalid match operator \"Equal\" for selector \"Tags\""),
        ("Datacenter == dc1", "Selector \"Datacenter\" is not valid"),
        ("service == flt", "Selector \"service\" is not valid"),
        ("Service matches \"(\"", "Failed to coerce value"),
        ("Service == \"a", "unterminated"),
        ("Service == \"\\q\"", "invalid escape"),
        ("(Service == a", "expected: \")\""),
        ("1 in", "no match found"),
        ("Service == ä", "no match found"),
    ];
    for (expression, part) in cases {
        let error = kept(expression).expect_err(expression);
        assert!(error.starts_with("Failed to create boolean expression evaluator: "), "{error}");
        assert!(error.contains(part), "{expression}: {error}");
    }
    let many = vec!["ID == a"; 33].join(" or ");
    assert!(kept(&many).is_err_and(|e| e.contains("too many conditions")));
    let deep = format!("{}ID == a{}", "(".repeat(50_000), ")".repeat(50_000));
    assert!(kept(&deep).is_err());
    assert!(kept(&"(".repeat(1_000)).is_err_and(|e| e.contains("nested too deeply")));
    assert!(kept(&format!("ID == \"{}\"", "x".repeat(513))).is_err_and(|e| e.contains("too long")));
}

#[test]
fn a_condition_on_a_list_of_objects_holds_if_it_does_for_any() {
    let item = json!({"Node": {"Node": "n1"}, "Service": {"ID": "a"}, "Checks": [
        {"CheckID": "serfHealth", "Status": "passing"}, {"CheckID": "c", "Status": "critical"}]});
    let keeps = |e: &str| Filter::parse(e, SERVICE_ENTRY).expect("valid").keeps(&item);
    assert!(keeps("Checks.Status == passing"));
    assert!(keeps("Checks.Status != passing"));
    assert!(!keeps("Checks.Status == warning"));
    assert!(!keeps("Checks is empty"));
    assert!(keeps("Checks.CheckID contains serf and Node.Node == n1"));
    assert!(!keeps("Node.Node == n1 and Service.ID == b"));
}

proptest::proptest! {
    #[test]
    fn no_expression_is_a_crash(text in "[a-zA-Z.\\[\\]\"`()=! 0-9not\\\\ä-]{0,40}") {
        let _ = kept(&text);
    }
}
