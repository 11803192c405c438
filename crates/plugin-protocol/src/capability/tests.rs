use proptest::prelude::*;

use super::*;

/// Any capability, from few enough values that they often meet.
pub(crate) fn any_capability() -> impl Strategy<Value = Capability> {
    let path = prop_oneof![
        Just("scratch"),
        Just("."),
        Just("in"),
        Just("in/a"),
        Just("/data"),
        Just("/data/in"),
        Just("/data/in/deep"),
        Just("/database"),
    ]
    .prop_map(|text| CapabilityPath::parse(text).unwrap());
    let endpoint = prop_oneof![
        Just("tcp://db:1"),
        Just("https://db:1"),
        Just("tcp://db:2"),
        Just("https://other:1")
    ]
    .prop_map(|text| Endpoint::parse(text).unwrap());
    prop_oneof![
        endpoint.prop_map(Capability::Network),
        path.clone().prop_map(Capability::FsRead),
        path.prop_map(Capability::FsWrite),
        "[A-C]".prop_map(|name| Capability::Env(VariableName::parse(&name).unwrap())),
        "[a-c]".prop_map(|name| Capability::Secret(SecretName::parse(&name).unwrap())),
        Just(Capability::Exec),
        Just(Capability::Clock),
        Just(Capability::Gpu),
    ]
}

pub(crate) fn any_capabilities() -> impl Strategy<Value = Capabilities> {
    proptest::collection::vec(any_capability(), 0..8)
        .prop_map(|capabilities| capabilities.into_iter().collect())
}

fn read(path: &str) -> Capability {
    Capability::FsRead(CapabilityPath::parse(path).unwrap())
}

fn write(path: &str) -> Capability {
    Capability::FsWrite(CapabilityPath::parse(path).unwrap())
}

#[test]
fn a_folder_covers_what_lies_below_it_and_writing_covers_reading() {
    assert!(read("/data").covers(&read("/data/in")));
    assert!(!read("/data").covers(&read("/database")));
    assert!(!read("/data/in").covers(&read("/data")));
    assert!(write("/data").covers(&read("/data/in")));
    assert!(!read("/data").covers(&write("/data/in")));
    assert!(!read("data").covers(&read("/data")));
    assert_eq!(write("/data/in").meet(&read("/data")), Some(read("/data/in")));
}

#[test]
fn tcp_covers_https_at_the_same_place_only() {
    let network = |text| Capability::Network(Endpoint::parse(text).unwrap());
    assert!(network("tcp://a:443").covers(&network("https://a:443")));
    assert!(!network("https://a:443").covers(&network("tcp://a:443")));
    assert!(!network("tcp://a:443").covers(&network("https://a:444")));
    assert!(!network("tcp://a:443").covers(&network("https://b:443")));
}

#[test]
fn equal_rights_are_equal_sets() {
    let wide: Capabilities =
        [write("/data"), read("/data/in"), write("/data/out")].into_iter().collect();
    assert_eq!(wide, [write("/data")].into_iter().collect());
}

#[test]
fn paths_of_the_project_become_paths_of_the_machine() {
    let set: Capabilities = [read("in"), write("scratch"), read("/data")].into_iter().collect();
    let placed = set.in_project("/srv/sales/").unwrap();
    let expected = [read("/srv/sales/in"), write("scratch"), read("/data")].into_iter().collect();
    assert_eq!(placed, expected);
    assert!(set.in_project("/").is_ok_and(|placed| placed.cover(&read("/in"))));
    let whole: Capabilities = [read(".")].into_iter().collect();
    assert!(whole.in_project("/").is_err());
}

proptest! {
    #[test]
    fn an_intersection_is_no_larger_than_either(one in any_capabilities(), two in any_capabilities()) {
        let both = one.intersection(&two);
        prop_assert!(one.cover_all(&both));
        prop_assert!(two.cover_all(&both));
        prop_assert_eq!(&both, &two.intersection(&one));
        prop_assert_eq!(one.intersection(&one), one.clone());
    }

    #[test]
    fn an_intersection_has_all_that_both_allow(
        one in any_capabilities(),
        two in any_capabilities(),
        wish in any_capability(),
    ) {
        let both = one.intersection(&two);
        prop_assert_eq!(both.cover(&wish), one.cover(&wish) && two.cover(&wish));
    }

    #[test]
    fn a_capability_reads_back_from_its_parts(one in any_capability()) {
        let kind = CapabilityKind::from_key(one.kind().key()).unwrap();
        prop_assert_eq!(Capability::from_parts(kind, one.target().as_deref()), Ok(one));
    }

    #[test]
    fn a_union_allows_what_either_allows(
        one in any_capabilities(),
        two in any_capabilities(),
        wish in any_capability(),
    ) {
        let either = one.union(&two);
        prop_assert_eq!(either.cover(&wish), one.cover(&wish) || two.cover(&wish));
    }
}
