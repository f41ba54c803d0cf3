//! Queries, forms and meeting ids: the output means the same as any input.
#![no_main]

use b3scale_middleware::bbb::{MeetingId, Params, ScopedId, are_alike, clean};
use b3scale_middleware::cluster::{TagChoice, Tags};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (query, form) = input.split_once('\n').unwrap_or((input, ""));
    let mut params = Params::parse(query);
    assert_eq!(params.raw(), query);
    params.merge_form(form);

    let encoded = params.encode();
    assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"#<>[\\]^`{|}".contains(&byte)));
    let again = Params::parse(&encoded);
    assert!(again.iter().eq(params.iter().filter(|(name, _)| *name != "checksum")));
    assert_eq!(again.encode(), encoded);

    if let Some((name, value)) = params.iter().last().map(|(name, value)| (name.to_owned(), value.to_owned())) {
        let others: Vec<_> =
            params.iter().filter(|(other, _)| !are_alike(other, &name)).map(|(_, value)| value.to_owned()).collect();
        params.set(&name, "new");
        assert!(!params.set_default(&name, &value));
        assert!(params.iter().filter(|(other, _)| are_alike(other, &name)).eq([(name.as_str(), "new")]));
        params.remove(&name);
        assert!(params.iter().map(|(_, value)| value).eq(others));
    }

    assert_eq!(clean(&clean(input)), clean(input));
    meeting_ids(query, form);
    choices(query);
});

fn choices(text: &str) {
    let Some(choice) = TagChoice::read(text, None) else { return };
    let again = TagChoice::read(&format!("{}!", choice.words()), None).expect("there are words");
    assert!(again.required && again.words() == choice.words());
    let allowed = TagChoice::read(text, Some(&Tags::default())).expect("it was said all the same");
    assert_eq!(allowed.words(), choice.words());
}

fn meeting_ids(key: &str, text: &str) {
    let id = MeetingId::new(text);
    let scoped = ScopedId::new(key, &id);
    assert!(scoped.as_ref().len() <= 256);
    let pair = (!scoped.is_hashed()).then(|| (key.to_owned(), id));
    assert_eq!(scoped.decode(), pair);

    // A node may report anything.
    if let Some((key, id)) = ScopedId::verbatim(text).decode() {
        assert_eq!(id, MeetingId::new(id.as_ref()));
        assert!(key.len() + id.as_ref().len() < 256);
    }
}
