use super::*;

fn hosts(range: std::ops::Range<usize>) -> Vec<HostId> {
    range.map(HostId).collect()
}

fn arrived(net: &mut Network, from: usize, to: usize) -> usize {
    (0..1_000).filter(|_| net.send(HostId(from), HostId(to), 100).first.is_some()).count()
}

#[test]
fn a_calm_network_delivers_everything_once_within_its_bounds() {
    let mut net = Network::new(1, Conditions::default());
    for _ in 0..1_000 {
        let p = net.send(HostId(0), HostId(1), 1_400);
        let after = p.first.expect("nothing is lost");
        assert!(after >= Duration::from_micros(500) && after <= Duration::from_millis(2));
        assert_eq!(p.second, None);
    }
}

#[test]
fn loss_and_duplication_follow_their_shares() {
    let conditions = Conditions { loss: 0.2, duplicate: 0.5, ..Conditions::default() };
    let mut net = Network::new(1, conditions);
    let sent: Vec<Passage> = (0..10_000).map(|_| net.send(HostId(0), HostId(1), 10)).collect();
    let lost = sent.iter().filter(|p| p.first.is_none()).count();
    let doubled = sent.iter().filter(|p| p.second.is_some()).count();
    assert!((1_800..2_200).contains(&lost), "{lost}");
    assert!((3_700..4_300).contains(&doubled), "{doubled}");
}

#[test]
fn groups_are_cut_from_each_other_and_hosts_nobody_names_stay_together() {
    let mut net = Network::new(1, Conditions::default());
    let id = net.impair(&Links::Between(vec![hosts(0..2), hosts(2..4)]), Impairment::CUT);
    assert_eq!(arrived(&mut net, 0, 1), 1_000);
    assert_eq!(arrived(&mut net, 0, 2), 0);
    assert_eq!(arrived(&mut net, 3, 1), 0);
    assert_eq!(arrived(&mut net, 0, 9), 0);
    assert_eq!(arrived(&mut net, 8, 9), 1_000);
    assert!(net.is_cut(HostId(0), HostId(2)) && !net.is_cut(HostId(8), HostId(9)));
    net.lift(id);
    assert_eq!(arrived(&mut net, 0, 2), 1_000);
}

#[test]
fn one_way_and_partial_impairments_leave_the_rest_alone() {
    let mut net = Network::new(1, Conditions::default());
    net.impair(&Links::OneWay(hosts(0..1), hosts(1..2)), Impairment::CUT);
    net.impair(&Links::Into(hosts(5..6)), Impairment::loss(0.8));
    assert_eq!(arrived(&mut net, 0, 1), 0);
    assert_eq!(arrived(&mut net, 1, 0), 1_000);
    assert!((100..300).contains(&arrived(&mut net, 2, 5)));
    assert_eq!(arrived(&mut net, 5, 2), 1_000);
}

#[test]
fn datagrams_past_the_mtu_vanish_and_held_up_ones_are_overtaken() {
    let conditions = Conditions { mtu: 500, reorder: 0.5, ..Conditions::default() };
    let mut net = Network::new(1, conditions);
    assert_eq!(net.send(HostId(0), HostId(1), 501).first, None);
    let late = (0..1_000)
        .filter_map(|_| net.send(HostId(0), HostId(1), 500).first)
        .filter(|d| *d > Duration::from_millis(2))
        .count();
    assert!((300..600).contains(&late), "{late}");
}

#[test]
fn skewed_latency_keeps_its_median_and_bounds() {
    let conditions = Conditions { latency: Latency::WAN, ..Conditions::default() };
    let mut net = Network::new(1, conditions);
    let mut all: Vec<Duration> =
        (0..2_001).filter_map(|_| net.send(HostId(0), HostId(1), 10).first).collect();
    all.sort();
    assert!(all[0] >= Duration::from_millis(20) && all[2_000] <= Duration::from_millis(250));
    assert!(all[1_000] > Duration::from_millis(50) && all[1_000] < Duration::from_millis(70));
}

#[test]
fn changing_the_loss_does_not_shift_the_delays() {
    let mut calm = Network::new(7, Conditions::default());
    let mut rough = Network::new(7, Conditions { loss: 0.3, ..Conditions::default() });
    for _ in 0..200 {
        let a = calm.send(HostId(0), HostId(1), 10).first;
        let b = rough.send(HostId(0), HostId(1), 10).first;
        assert!(b.is_none() || a == b);
    }
}

#[test]
fn a_line_takes_its_time_and_holds_only_so_much() {
    let at = |ms| Instant::START + Duration::from_millis(ms);
    let mut net = Network::new(1, Conditions::default());
    assert_eq!(net.queue(HostId(0), at(0), 1_000_000), Some(Duration::ZERO), "no limit");
    net.set_conditions(Conditions { bandwidth: Some(1_000_000), ..Conditions::default() });
    assert_eq!(net.queue(HostId(0), at(0), 1_000), Some(Duration::from_millis(1)));
    assert_eq!(net.queue(HostId(0), at(0), 1_000), Some(Duration::from_millis(2)));
    assert_eq!(net.queue(HostId(1), at(0), 1_000), Some(Duration::from_millis(1)), "each its own");
    assert_eq!(net.queue(HostId(0), at(10), 1_000), Some(Duration::from_millis(1)), "free again");
    let kept = (0..1_000).filter(|_| net.queue(HostId(2), at(10), 1_000).is_some()).count();
    assert_eq!(kept as u64, LINE_QUEUE_BYTES_MAX / 1_000);
    assert!(net.queue(HostId(2), at(12), 1_000).is_some(), "2 ms make room for two");
}
