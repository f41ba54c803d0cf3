//! Checksums: signed queries verify, and no others do.
#![no_main]

use b3scale_middleware::bbb::{Accepted, Algorithm, Algorithms, ChecksumError, Params, Secret, Signed, sign, verify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (query, form) = input.split_once('\n').map_or((input, None), |(query, form)| (query, Some(form)));
    let secret = Secret::new("no seed is signed with this").expect("not empty");
    let check_by = |call: &str, query: &str, form, algorithms| {
        verify(call, Signed { query, form }, [&secret; 2], Accepted { algorithms, constant: true }).map(drop)
    };
    let check = |call: &str, query: &str, form| check_by(call, query, form, Algorithms::ALL);

    // A query without the secret is refused.
    check("create", query, form).expect_err("not signed");

    if has_checksum(query) || form.is_some_and(has_checksum) {
        return;
    }
    for algorithm in Algorithm::ALL {
        let checksum = sign(algorithm, "create", query, &secret);
        assert_eq!(Algorithm::of_length(checksum.len()), Some(algorithm));
        let behind = format!("{query}&checksum={checksum}");
        let before = format!("checksum={}&{query}", checksum.to_uppercase());
        // The parts of a query that is too long are passed over.
        if query.split('&').count() < 10_000 {
            assert_eq!(check("create", &behind, form), Ok(()));
        }
        if !query.is_empty() {
            assert_eq!(check("create", &before, form), Ok(()));
        }
        assert_eq!(check("join", &before, form), Err(ChecksumError::Mismatch));
        assert_eq!(check("create", &format!("{behind}&checksum={checksum}"), form), Err(ChecksumError::Ambiguous));
        let only = [algorithm].into_iter().collect();
        let others = Algorithm::ALL.into_iter().filter(|other| *other != algorithm).collect();
        assert_eq!(check_by("create", &before, form, only), Ok(()));
        assert_eq!(check_by("create", &before, form, others), Err(ChecksumError::NotAllowed(algorithm)));
    }
    if let Some(form) = form.filter(|_| query.is_empty()) {
        let raw = sign(Algorithm::Sha256, "create", form, &secret);
        assert_eq!(check("create", "", Some(&format!("checksum={raw}&{form}"))), Ok(()));
    }
});

fn has_checksum(text: &str) -> bool {
    text.split('&')
        .any(|item| item.split('=').next().is_some_and(|name| Params::parse(name).first("checksum").is_some()))
}
