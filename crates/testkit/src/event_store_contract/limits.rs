//! Sizes, texts and numbers at their edges, and beyond.

use flexcore_eventsourcing::{
    Append, Epoch, EventContext, EventData, EventId, StreamName, Timestamp,
};
use flexcore_ports::{AppendError, ReadFilter};
use uuid::Uuid;

use super::{Fixture, assert_conflict};
use crate::{event, payload, stream};

/// The longest text of a type or a context, in bytes.
const MAX_TEXT: usize = 1_024;

/// Appends one event to a stream of its own, and holds what is read against it.
async fn comes_back(fixture: &Fixture, key: &str, event: EventData) {
    fixture.accepted(Append::to(stream(key), 0, vec![event.clone()])).await;
    let found = fixture.store.read_stream(&stream(key), 1, 2).await.expect("it can be read");
    assert_eq!(found.len(), 1);
    assert!(found[0].event == event, "{key}: {:?}", found[0].event.context);
}

/// An append that must be refused as malformed, with a reason that says `words`.
async fn invalid(fixture: &Fixture, append: Append, words: &str) {
    match fixture.append(append).await {
        Err(AppendError::Invalid(reason)) => assert!(reason.contains(words), "{reason}"),
        other => assert_eq!(format!("{other:?}"), format!("a refusal that says `{words}`")),
    }
}

/// Nothing is something, too.
pub async fn an_empty_payload_comes_back(fixture: &Fixture) {
    comes_back(fixture, "a", EventData { payload: Vec::new(), ..event(1) }).await;
    let several = (2..6).map(|number| EventData { payload: Vec::new(), ..event(number) });
    fixture.accepted(Append::to(stream("b"), 0, several.collect())).await;
    assert_eq!(fixture.versions(&stream("b")).await, [1, 2, 3, 4]);
}

/// Every byte, in every order that matters to some encoding.
pub async fn a_binary_payload_comes_back(fixture: &Fixture) {
    let all: Vec<u8> = (0..=255).collect();
    comes_back(fixture, "all", EventData { payload: all, ..event(1) }).await;
    for (number, bytes) in
        [&[0_u8][..], b"\\x00", b"\0\0\0", b"\xff\xfe", b"'; --", b"\\"].into_iter().enumerate()
    {
        let key = format!("few-{number}");
        let number = number as u64 + 2;
        comes_back(fixture, &key, EventData { payload: bytes.to_vec(), ..event(number) }).await;
    }
}

/// Sizes around the places where stores change how they keep a row.
pub async fn payloads_of_all_sizes_come_back(fixture: &Fixture) {
    let sizes = (0..20).flat_map(|power| {
        let size = 1_usize << power;
        [size - 1, size, size + 1]
    });
    for (number, size) in (1..).zip(sizes) {
        let event = EventData { payload: payload(number, size), ..event(number) };
        comes_back(fixture, &number.to_string(), event).await;
    }
}

/// A payload that compresses well is stored as well as one that does not.
pub async fn a_payload_of_one_repeated_byte_comes_back(fixture: &Fixture) {
    let even = EventData { payload: vec![b' '; EventData::MAX_PAYLOAD], ..event(1) };
    comes_back(fixture, "a", even).await;
}

/// One byte more than the limit; the error names the event and the limit.
pub async fn a_payload_beyond_the_limit_is_refused(fixture: &Fixture) {
    let large = EventData { payload: vec![0; EventData::MAX_PAYLOAD + 1], ..event(1) };
    let append = Append::to(stream("a"), 0, vec![event(2), large]);
    invalid(fixture, append, &EventData::MAX_PAYLOAD.to_string()).await;
    assert_eq!(fixture.head().await.position, 0);
}

/// As many payload bytes as one append may have.
pub async fn the_largest_append_is_taken(fixture: &Fixture) {
    let events = |count: u64| -> Vec<EventData> {
        let large = |number| EventData { payload: payload(number, 1 << 20), ..event(number) };
        (0..count).map(large).collect()
    };
    let mut too_many = events(64);
    too_many.push(event(64));
    invalid(fixture, Append::to(stream("a"), 0, too_many), &(64 << 20).to_string()).await;
    fixture.accepted(Append::to(stream("a"), 0, events(64))).await;
    assert_eq!(fixture.head().await.position, 64);
}

/// As many events as one append may have.
pub async fn ten_thousand_events_are_one_append(fixture: &Fixture) {
    let all: Vec<EventData> = (0..10_000).map(event).collect();
    let appended = fixture.accepted(Append::to(stream("a"), 0, all.clone())).await;
    assert_eq!((appended.last_position, appended.repeated), (10_000, false));
    let again = fixture.accepted(Append::to(stream("a"), 0, all)).await;
    assert_eq!((again.last_position, again.repeated), (10_000, true));
}

/// They count together, over all streams of the append.
pub async fn the_limit_of_events_is_one_of_the_append(fixture: &Fixture) {
    let half = |from| (from..from + 5_001).map(event).collect();
    let append = Append::to(stream("a"), 0, half(0)).and(Append::to(stream("b"), 0, half(5_001)));
    invalid(fixture, append, "10002").await;
}

/// As many stream writes as one append may have.
pub async fn a_thousand_streams_are_one_append(fixture: &Fixture) {
    let write = |number: u64| Append::to(stream(&number.to_string()), 0, vec![event(number)]);
    let all = |count| (0..count).map(write).fold(Append::default(), Append::and);
    invalid(fixture, all(1_001), "1001").await;
    assert_eq!(fixture.accepted(all(1_000)).await.last_position, 1_000);
    assert_eq!(fixture.versions(&stream("999")).await, [1]);
}

/// Guards count as stream writes do.
pub async fn a_thousand_guards_are_one_append(fixture: &Fixture) {
    let all = |count: u64| {
        (0..count).fold(Append::default(), |append, number| {
            append.guarded(stream(&number.to_string()), 0, None)
        })
    };
    invalid(fixture, all(1_001), "1001").await;
    assert_eq!(fixture.accepted(all(1_000)).await.last_position, 0);
    assert_eq!(fixture.head().await.batch, 0);
}

fn contexts(text: &str) -> [(&'static str, EventData); 4] {
    let context = || EventContext::json("default", "tester");
    let with = |context| EventData { context, ..event(1) };
    [
        ("type name", EventData { type_name: text.into(), ..event(1) }),
        ("tenant", with(EventContext { tenant: text.into(), ..context() })),
        ("actor", with(EventContext { actor: text.into(), ..context() })),
        ("content type", with(EventContext { content_type: text.into(), ..context() })),
    ]
}

/// Types and contexts, at the limit.
pub async fn the_longest_texts_come_back(fixture: &Fixture) {
    for (what, event) in contexts(&"ä".repeat(MAX_TEXT / 2)) {
        comes_back(fixture, what, event).await;
    }
}

/// Beyond it, in bytes and not in characters.
pub async fn longer_texts_are_refused(fixture: &Fixture) {
    for (what, event) in contexts(&"ä".repeat(MAX_TEXT / 2 + 1)) {
        invalid(fixture, Append::to(stream("a"), 0, vec![event]), what).await;
    }
}

/// A text that must be there.
pub async fn empty_texts_are_refused(fixture: &Fixture) {
    for (what, event) in contexts("") {
        invalid(fixture, Append::to(stream("a"), 0, vec![event]), what).await;
    }
    assert_eq!(fixture.head().await.position, 0);
}

/// Not every store can keep this character, so that none takes it.
pub async fn a_nul_in_a_text_is_refused(fixture: &Fixture) {
    for (what, event) in contexts("a\0b") {
        invalid(fixture, Append::to(stream("a"), 0, vec![event]), what).await;
    }
    assert_eq!(fixture.head().await.position, 0);
}

/// Texts are data, whatever they look like.
pub async fn odd_texts_come_back(fixture: &Fixture) {
    let odd = [
        "'; DROP TABLE event; --",
        "\"quoted\" \\ {curly,NULL}",
        "$1 %s ?1 :name",
        "\u{1}\t\r\n\u{7f}",
        "é e\u{301} ﬁ \u{202e}right to left",
        "👩‍👩‍👧‍👦 \u{10ffff}",
        " ",
        "NULL",
    ];
    for (round, text) in odd.into_iter().enumerate() {
        for (what, event) in contexts(text) {
            comes_back(fixture, &format!("{round} {what}"), event).await;
        }
    }
}

/// Texts that differ only to a machine are two.
pub async fn texts_that_look_alike_stay_apart(fixture: &Fixture) {
    let names = ["Deposited", "deposited", "Deposited ", "De\u{301}posited", "D\u{e9}posited"];
    for (number, name) in (0..).zip(names) {
        let event = EventData { type_name: name.into(), ..event(number) };
        comes_back(fixture, &number.to_string(), event).await;
    }
    for (position, name) in (1..).zip(names) {
        let filter = ReadFilter { types: vec![name.to_owned()] };
        let found = fixture.store.read_all(0, 10, &filter).await.expect("it can be read");
        let positions: Vec<u64> = found.iter().map(|event| event.position).collect();
        assert_eq!(positions, [position], "{name}");
    }
}

/// Names with every kind of character in them.
pub async fn odd_stream_names_are_kept(fixture: &Fixture) {
    let keys =
        ["a/b", "a%2Fb", "'", "\"", "\\", "\0", "..", "%", "_", " ", "Ä", "A\u{308}", "👍", "{}"];
    for (number, key) in (0..).zip(keys) {
        comes_back(fixture, key, event(number)).await;
    }
    let streams: Vec<StreamName> =
        fixture.all().await.into_iter().map(|event| event.stream).collect();
    assert_eq!(streams, keys.map(stream));
}

/// One name that begins with another, or differs in case only, is another stream.
pub async fn stream_names_that_look_alike_stay_apart(fixture: &Fixture) {
    let keys = ["a", "A", "a ", "aa", "a_", "a%", "a/a"];
    for (number, key) in (0..).zip(keys) {
        comes_back(fixture, key, event(number)).await;
    }
    let parts = StreamName::new("default", "account", ["a", "a"]).expect("it is legal");
    fixture.accepted(Append::to(parts, 0, vec![event(100)])).await;
    for key in keys {
        assert_eq!(fixture.versions(&stream(key)).await, [1], "{key}");
    }
}

/// At the limit of 1,024 bytes; longer ones cannot even be made.
pub async fn the_longest_stream_names_are_kept(fixture: &Fixture) {
    let room = 1_024 - stream("x").as_str().len() + 1;
    let (one, other) = ("k".repeat(room), "k".repeat(room - 1) + "j");
    comes_back(fixture, &one, event(1)).await;
    comes_back(fixture, &other, event(2)).await;
    assert_eq!(fixture.versions(&stream(&one)).await, [1]);
}

/// Tenant and category are parts of the name.
pub async fn the_same_key_of_another_tenant_is_another_stream(fixture: &Fixture) {
    let name = |tenant, category| StreamName::new(tenant, category, ["1"]).expect("it is legal");
    let names = [name("one", "a"), name("two", "a"), name("one", "b")];
    for (number, name) in (0..).zip(&names) {
        fixture.accepted(Append::to(name.clone(), 0, vec![event(number)])).await;
    }
    for name in &names {
        assert_eq!(fixture.versions(name).await, [1]);
    }
}

/// Clients' clocks say what they say.
pub async fn every_time_of_occurrence_comes_back(fixture: &Fixture) {
    for (number, micros) in (0..).zip([i64::MIN, -1, 0, 1, i64::MAX]) {
        let occurred_at = Timestamp::from_micros(micros);
        comes_back(fixture, &number.to_string(), EventData { occurred_at, ..event(number) }).await;
    }
}

/// The whole range.
pub async fn every_schema_version_comes_back(fixture: &Fixture) {
    for (number, schema_version) in (0..).zip([0, 1, 255, 256, 32_767, 32_768, u16::MAX]) {
        let event = EventData { schema_version, ..event(number) };
        comes_back(fixture, &number.to_string(), event).await;
    }
}

/// None, the id of all zeros and the id of all ones are three values.
pub async fn every_optional_id_comes_back(fixture: &Fixture) {
    let values = [None, Some(Uuid::nil()), Some(Uuid::max())];
    let mut number = 0;
    for correlation in values {
        for causation in values {
            for sealing_key in values {
                number += 1;
                let context = EventContext {
                    correlation,
                    causation,
                    sealing_key,
                    ..EventContext::json("default", "tester")
                };
                let event = EventData { context, ..event(number) };
                comes_back(fixture, &number.to_string(), event).await;
            }
        }
    }
}

/// Some columns of an append may be empty for some of its events and not for others.
pub async fn optional_ids_of_one_append_stay_with_their_events(fixture: &Fixture) {
    let events: Vec<EventData> = (0..50_u64)
        .map(|number| {
            let id = |divisor| (number % divisor == 0).then(|| Uuid::from_u128(number.into()));
            let context = EventContext {
                correlation: id(2),
                causation: id(7),
                sealing_key: id(60),
                ..EventContext::json("default", "tester")
            };
            EventData { context, ..event(number) }
        })
        .collect();
    fixture.accepted(Append::to(stream("a"), 0, events.clone())).await;
    let found: Vec<EventData> = fixture.all().await.into_iter().map(|event| event.event).collect();
    assert_eq!(found, events);
}

/// Any UUID but the one that means "none".
pub async fn every_event_id_but_nil_is_taken(fixture: &Fixture) {
    let with = |id| EventData { id: EventId(id), ..event(0) };
    comes_back(fixture, "max", with(Uuid::max())).await;
    comes_back(fixture, "one", with(Uuid::from_u128(1))).await;
    invalid(fixture, Append::to(stream("a"), 0, vec![with(Uuid::nil())]), "no id").await;
}

/// Which event is in the append twice is said, also over two streams.
pub async fn an_event_twice_in_an_append_is_refused(fixture: &Fixture) {
    let id = event(7).id.to_string();
    let once = Append::to(stream("a"), 0, vec![event(1), event(7)]);
    let again = Append::to(stream("b"), 0, vec![event(2), event(7)]);
    invalid(fixture, once.and(again), &id).await;
    invalid(fixture, Append::to(stream("a"), 0, vec![event(7), event(7)]), &id).await;
    assert_eq!(fixture.head().await.position, 0);
}

/// More types and contexts than anybody has.
pub async fn many_types_and_contexts_come_back(fixture: &Fixture) {
    let events: Vec<EventData> = (0..600_u64)
        .map(|number| EventData {
            type_name: format!("Type{number}").into(),
            context: EventContext::json(format!("t{}", number % 7), format!("actor {number}")),
            ..event(number)
        })
        .collect();
    for (number, chunk) in events.chunks(150).enumerate() {
        let append = Append::to(stream("a"), number as u64 * 150, chunk.to_vec());
        fixture.accepted(append).await;
    }
    let found: Vec<EventData> = fixture.all().await.into_iter().map(|event| event.event).collect();
    assert_eq!(found, events);
}

/// The largest numbers that a store keeps, and larger ones.
pub async fn the_largest_fence_and_version_are_checked(fixture: &Fixture) {
    let largest = i64::MAX.unsigned_abs();
    fixture.accepted(Append::to(stream("a"), 0, vec![event(1)]).fenced(Epoch(largest))).await;
    let beyond = Append::to(stream("a"), 1, vec![event(2)]).fenced(Epoch(largest + 1));
    invalid(fixture, beyond, "epoch").await;
    let far = largest - 20_000;
    let error = fixture.refused(Append::to(stream("b"), far, vec![event(3)])).await;
    assert_conflict(&error, "b", far, 0);
    for version in [largest, largest + 1, u64::MAX] {
        let append = Append::to(stream("b"), version, vec![event(3)]);
        invalid(fixture, append, "too large").await;
        invalid(fixture, Append::default().guarded(stream("b"), version, None), "too large").await;
    }
}
