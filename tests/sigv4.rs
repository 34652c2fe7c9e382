//! tests/sigv4.rs: which signed requests are accepted, and what the others are told.
//!
//! What AWS has published is data in `fixtures/sigv4/`. Not here: bodies (`sigv4_bodies`), the program (`sigv4_cli`).

mod signing;

use keyledger::model::Time;
use keyledger::sigv4::{
    Candidate, Kind, Payload, Request, Rules, Scratch, SigError, SigningKey, amz_date, parse, scope_of,
};
use proptest::prelude::*;
use signing::{
    Case, EMPTY, ID, REGION, REGIONS, SECRET, Sent, get, get_at, hex, noon, presigned, resigned, s3, seconds, sha256,
};

#[test]
fn every_request_that_aws_has_published_is_accepted() {
    let mut count = 0;
    for text in [include_str!("../fixtures/sigv4/documentation.jsonl"), include_str!("../fixtures/sigv4/suite.jsonl")] {
        for case in Case::all(text) {
            let done = case.verified();
            assert!(done.is_ok(), "{}: {}", case.id, done.unwrap_err());
            count += 1;
        }
    }
    assert_eq!(count, 8 + 76);
}

#[test]
fn a_signed_request_names_its_key_time_and_kind() {
    let verified = get().verified(&s3(), noon()).unwrap();
    assert_eq!((verified.access_key_id(), verified.region(), verified.service()), (ID, REGION, "s3"));
    assert_eq!((verified.time(), verified.kind()), (noon(), Kind::Header));
    assert_eq!(verified.payload(), Payload::Announced(sha256(b"")));
    assert_eq!(verified.check_body(&sha256(b"")), Ok(()));
    assert_eq!(verified.check_body(&sha256(b"x")), Err(SigError::PayloadMismatch));
    let scope =
        get().with(|request| scope_of(request).map(|(region, service)| (region.into_owned(), service.into_owned())));
    assert_eq!(scope, Some((REGION.to_owned(), "s3".to_owned())));
}

// Time.

#[test]
fn a_header_signature_holds_fifteen_minutes_either_way_and_not_a_second_more() {
    for (off, expected) in
        [(-901, "RequestTimeTooSkewed"), (-900, "accept"), (900, "accept"), (901, "RequestTimeTooSkewed")]
    {
        assert_eq!(get().code(&s3(), noon().plus_ns(seconds(off))), expected, "{off} s");
    }
    let error = get().verified(&s3(), noon().plus_ns(seconds(86_400))).unwrap_err();
    assert_eq!((error.code(), error.status()), ("RequestTimeTooSkewed", 403), "skew comes before the scope's date");
}

#[test]
fn a_presigned_url_is_valid_from_its_date_to_the_last_second_and_from_15_minutes_before_for_other_clocks() {
    for expires in [1, 60, 604_800] {
        let url = presigned("/bucket/key", noon(), &expires.to_string(), &[]);
        for (off, expected) in [
            (-901, "AccessDenied"),
            (-900, "accept"),
            (0, "accept"),
            (expires, "accept"),
            (expires + 1, "AccessDenied"),
        ] {
            assert_eq!(url.code(&s3(), noon().plus_ns(seconds(off))), expected, "{expires} s, at {off} s");
        }
        assert_eq!(url.verified(&s3(), noon().plus_ns(seconds(expires + 1))).unwrap_err(), SigError::Expired);
        assert_eq!(url.verified(&s3(), noon().plus_ns(seconds(-901))).unwrap_err(), SigError::NotYetValid);
    }
    let url = presigned("/bucket/key", noon(), "60", &[]);
    let verified = url.verified(&s3(), noon()).unwrap();
    assert_eq!((verified.kind(), verified.payload()), (Kind::Presigned { expires_s: 60 }, Payload::Unsigned));
}

#[test]
fn an_expiry_below_a_second_or_above_seven_days_is_refused_however_it_was_signed() {
    for expires in ["0", "604801", "-1", "+1", "1.5", "", "99999999999999999999", "1e3", "%31x"] {
        let url = presigned("/bucket/key", noon(), expires, &[]);
        assert_eq!(url.code(&s3(), noon()), "AuthorizationQueryParametersError", "{expires}");
    }
}

#[test]
fn x_amz_date_wins_over_date() {
    let at = |date: &str| {
        Sent::new("GET", "/b/k")
            .header("host", "h")
            .header("x-amz-content-sha256", EMPTY)
            .header("date", date)
            .header("x-amz-date", &amz_date(noon()))
            .signed(&s3(), EMPTY, noon())
    };
    assert_eq!(at("Mon, 01 Jan 2001 00:00:00 GMT").code(&s3(), noon()), "accept");
    let date = |date: &str| {
        let sent =
            Sent::new("GET", "/b/k").header("host", "h").header("x-amz-content-sha256", EMPTY).header("Date", date);
        sent.signed(&s3(), EMPTY, noon()).code(&s3(), noon())
    };
    assert_eq!(date("Wed, 25 Nov 2026 20:00:00 GMT"), "accept");
    assert_eq!(date("Wed, 25 Nov 2026 20:00:00 -0000"), "accept", "as botocore writes it");
    assert_eq!(date("Wed, 25 Nov 2026 20:00:01 GMT"), "SignatureDoesNotMatch");
    assert_eq!(date("Wednesday"), "AccessDenied");
    let bare = Sent::new("GET", "/b/k").header("host", "h").header("x-amz-content-sha256", EMPTY);
    assert_eq!(bare.signed(&s3(), EMPTY, noon()).verified(&s3(), noon()).unwrap_err(), SigError::NoDate);
}

#[test]
fn the_credentials_date_is_the_requests_date() {
    // A minute before midnight, named by the next day's scope.
    let late = Time::parse("2026-11-25T23:59:30Z").unwrap();
    let sent = get_at(late).changed("authorization", |value| value.replace("20261125", "20261126"));
    assert_eq!(sent.code(&s3(), late.plus_ns(seconds(60))), "AuthorizationHeaderMalformed");
    assert_eq!(get_at(late).code(&s3(), late.plus_ns(seconds(60))), "accept", "midnight passes on the way");
    let url = presigned("/b/k", late, "600", &[]).target(|target| target.replace("%2F20261125", "%2F20261126"));
    assert_eq!(url.code(&s3(), late), "AuthorizationQueryParametersError");
}

// Scope and algorithm.

/// MinIO CVE-2026-33322: an algorithm that the caller chose was believed.
#[test]
fn algorithm_region_service_and_terminator_are_exact() {
    let change =
        |from: &str, to: &str| get().changed("authorization", |value| value.replace(from, to)).code(&s3(), noon());
    let malformed = "AuthorizationHeaderMalformed";
    assert_eq!(change("eu-central-1", "eu-central-2"), malformed);
    assert_eq!(change("eu-central-1", "EU-central-1"), malformed);
    assert_eq!(change("eu-central-1", ""), malformed);
    assert_eq!(change("/s3/", "/iam/"), malformed);
    assert_eq!(change("aws4_request", "aws4_requesT"), malformed);
    assert_eq!(change("aws4_request", "aws4_request/x"), malformed);
    assert_eq!(change("/aws4_request", ""), malformed);
    assert_eq!(change("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA512 "), "InvalidRequest");
    assert_eq!(change("AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 "), "InvalidRequest");
    assert_eq!(change("AWS4-HMAC-SHA256 ", "aws4-hmac-sha256 "), "InvalidArgument");
    assert_eq!(change("AWS4-HMAC-SHA256 ", "Bearer "), "InvalidArgument");
    assert_eq!(change("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256"), "InvalidRequest");
    let url = |from: &str, to: &str| {
        presigned("/b/k", noon(), "60", &[]).target(|target| target.replace(from, to)).code(&s3(), noon())
    };
    for (from, to) in [("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), ("eu-central-1", "us-east-1"), ("%2Fs3%2F", "%2Fiam%2F")]
    {
        assert_eq!(url(from, to), "AuthorizationQueryParametersError", "{from} → {to}");
    }
}

#[test]
fn version_2_signatures_are_told_what_to_use() {
    let old = Sent::new("GET", "/b/k")
        .header("host", "h")
        .header("authorization", "AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo==");
    let error = old.verified(&s3(), noon()).unwrap_err();
    assert_eq!((error.code(), error.status()), ("InvalidRequest", 400));
    assert!(error.message().contains("Please use AWS4-HMAC-SHA256"), "{}", error.message());
    let url = Sent::new("GET", "/b/k?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1796000000&Signature=x%3D")
        .header("host", "h");
    assert_eq!(url.verified(&s3(), noon()).unwrap_err(), SigError::OtherAlgorithm);
    let plain = Sent::new("GET", "/b/k").header("host", "h");
    let error = plain.verified(&s3(), noon()).unwrap_err();
    assert_eq!((error.clone(), error.code(), error.status()), (SigError::NotSigned, "AccessDenied", 403));
}

// Headers.

#[test]
fn every_x_amz_header_that_arrives_must_be_signed() {
    for name in ["x-amz-copy-source", "X-Amz-Acl", "x-amz-meta-a", "X-AMZ-SECURITY-TOKEN", "x-amz-"] {
        let error = get().header(name, "/other/secret").verified(&s3(), noon()).unwrap_err();
        assert_eq!(error, SigError::UnsignedHeader(name.to_ascii_lowercase()));
        assert_eq!((error.code(), error.status()), ("AccessDenied", 403));
        // MinIO CVE-2026-97731: a presigned PUT and a header that makes it a copy.
        let url = presigned("/b/k", noon(), "60", &[]).header(name, "/other/secret");
        assert_eq!(url.code(&s3(), noon()), "AccessDenied");
    }
    assert_eq!(get().header("x-amzn-trace-id", "Root=1").code(&s3(), noon()), "accept", "not an x-amz- header");
    assert_eq!(presigned("/b/k", noon(), "60", &[("x-amz-acl", "private")]).code(&s3(), noon()), "accept");
}

#[test]
fn an_unsigned_session_token_is_believed_nowhere_and_refused_by_s3() {
    let with_token = |sent: Sent| sent.header("x-amz-security-token", "token");
    assert_eq!(with_token(get()).code(&s3(), noon()), "AccessDenied");
    let iam = Rules::service("iam", REGIONS);
    let sent = Sent::new("POST", "/").header("host", "iam").header("x-amz-date", &amz_date(noon()));
    let sent = with_token(sent.signed(&iam, EMPTY, noon()));
    assert_eq!(sent.code(&iam, noon()), "accept", "some services have it added after signing");
    let mut scratch = Scratch::new();
    let token =
        sent.with(|request| parse(request, &iam, noon(), &mut scratch).unwrap().session_token().map(str::to_owned));
    assert_eq!(token.as_deref(), Some("token"));
}

#[test]
fn the_host_must_be_signed_and_is_compared_with_its_port() {
    let unsigned = get().changed("authorization", |value| value.replace("SignedHeaders=host;", "SignedHeaders="));
    assert_eq!(unsigned.verified(&s3(), noon()).unwrap_err(), SigError::UnsignedHeader("host".into()));
    let url =
        presigned("/b/k", noon(), "60", &[("x-amz-acl", "private")]).target(|target| target.replace("host%3B", ""));
    assert_eq!(url.code(&s3(), noon()), "AccessDenied");
    for host in ["storage.example.com", "storage.example.com:9001", "STORAGE.example.com:9000", "other"] {
        assert_eq!(get().changed("host", |_| host.into()).code(&s3(), noon()), "SignatureDoesNotMatch", "{host}");
    }
    assert_eq!(get().without("host").code(&s3(), noon()), "SignatureDoesNotMatch");
}

#[test]
fn what_authentication_reads_arrives_once() {
    for name in ["host", "x-amz-date", "x-amz-content-sha256"] {
        let value = get().value(name).to_owned();
        let error = get().header(&name.to_ascii_uppercase(), &value).verified(&s3(), noon()).unwrap_err();
        assert_eq!(error, SigError::DuplicateHeader(name.into()));
        assert_eq!((error.code(), error.status()), ("InvalidRequest", 400));
    }
    let value = get().value("authorization").to_owned();
    assert_eq!(get().header("Authorization", &value).code(&s3(), noon()), "InvalidRequest");
}

#[test]
fn one_x_amz_header_cannot_be_split_into_two_that_are_signed_alike() {
    // `/b/x,y` and then `/b/x` with `y` have one canonical form; a handler that reads the first would copy `/b/x`.
    let signed = |sources: &[&str]| {
        let mut sent = Sent::new("PUT", "/b/k").header("host", "h").header("x-amz-content-sha256", EMPTY);
        sent = sent.header("x-amz-date", &amz_date(noon())).header("x-amz-copy-source", "/b/x,y").signed(
            &s3(),
            EMPTY,
            noon(),
        );
        sent = sent.without("x-amz-copy-source");
        sources.iter().fold(sent, |sent, source| sent.header("x-amz-copy-source", source))
    };
    assert_eq!(signed(&["/b/x,y"]).code(&s3(), noon()), "accept");
    assert_eq!(
        signed(&["/b/x", "y"]).verified(&s3(), noon()).unwrap_err(),
        SigError::DuplicateHeader("x-amz-copy-source".into())
    );
}

#[test]
fn other_headers_of_one_name_are_joined_by_commas_in_their_order() {
    let sent = |values: &[&str]| {
        let sent = Sent::new("GET", "/b/k").header("host", "h").header("x-amz-content-sha256", EMPTY);
        values.iter().fold(sent, |sent, value| sent.header("My-Header", value)).header("x-amz-date", &amz_date(noon()))
    };
    let signature = sent(&[" b  c ", "a"]).signed(&s3(), EMPTY, noon());
    let authorization = signature.value("authorization").to_owned();
    let with = |values: &[&str]| sent(values).header("authorization", &authorization).code(&s3(), noon());
    assert_eq!(with(&["b c,a"]), "accept");
    assert_eq!(with(&["b c", "a"]), "accept");
    assert_eq!(with(&["a", "b c"]), "SignatureDoesNotMatch");
    assert_eq!(with(&["b c\nx-amz-acl:public-read", "a"]), "SignatureDoesNotMatch", "a value adds no line");
}

#[test]
fn the_list_of_signed_headers_is_lowercase_sorted_and_without_repetition() {
    let listed = "host;x-amz-content-sha256;x-amz-date";
    for list in [
        "x-amz-date;host;x-amz-content-sha256",
        "host;host;x-amz-content-sha256;x-amz-date",
        "Host;x-amz-content-sha256;x-amz-date",
        "host;;x-amz-content-sha256;x-amz-date",
        "host;x-amz-content-sha256;x-amz-date;",
        "",
    ] {
        let sent = get().changed("authorization", |value| value.replace(listed, list));
        assert_eq!(sent.code(&s3(), noon()), "AuthorizationHeaderMalformed", "{list}");
    }
    let more =
        get().changed("authorization", |value| value.replace(listed, "accept;host;x-amz-content-sha256;x-amz-date"));
    assert_eq!(more.code(&s3(), noon()), "SignatureDoesNotMatch", "a signed header that did not arrive is empty");
    assert_eq!(get().without("x-amz-date").code(&s3(), noon()), "AccessDenied");
    assert_eq!(get().without("x-amz-content-sha256").code(&s3(), noon()), "InvalidRequest");
}

#[test]
fn many_signed_headers_are_matched_like_few() {
    let mut sent = Sent::new("GET", "/b/k").header("host", "h").header("x-amz-content-sha256", EMPTY);
    for number in 0..100 {
        sent = sent.header(&format!("X-Amz-Meta-{}", (number * 37) % 100), "v");
    }
    let sent = sent.header("x-amz-date", &amz_date(noon())).signed(&s3(), EMPTY, noon());
    assert_eq!(sent.code(&s3(), noon()), "accept");
    assert_eq!(sent.clone().header("x-amz-meta-100", "v").code(&s3(), noon()), "AccessDenied");
    assert_eq!(sent.header("x-amz-meta-99", "v").code(&s3(), noon()), "InvalidRequest");
}

// The Authorization header and the query's parameters.

#[test]
fn a_malformed_authorization_header_is_named_so() {
    let good = get().value("authorization").to_owned();
    let (credential, rest) = good.split_once(", ").unwrap();
    let (signed, signature) = rest.split_once(", ").unwrap();
    let code = |value: String| get().changed("authorization", |_| value).code(&s3(), noon());
    assert_eq!(code(format!("{credential},{signed},{signature}")), "accept", "spaces are not needed");
    assert_eq!(
        code(format!("AWS4-HMAC-SHA256  {signature} , {signed},{}", &credential[17..])),
        "accept",
        "nor an order"
    );
    for bad in [
        credential.to_owned(),
        format!("{credential}, {signed}"),
        format!("AWS4-HMAC-SHA256 {signed}, {signature}"),
        format!("{credential}, {signature}"),
        format!("{good}, {signature}"),
        format!("{good}, Extra=1"),
        format!("{good},"),
        "AWS4-HMAC-SHA256".to_owned(),
        "AWS4-HMAC-SHA256 ".to_owned(),
        "AWS4-HMAC-SHA256 Credential".to_owned(),
        good.replace("Credential=", "credential="),
        good.replace(ID, ""),
        good.replace(ID, &"A".repeat(129)),
        good.replace(ID, "AKIA ID"),
        format!("{credential}, {signed}, Signature="),
    ] {
        assert_eq!(code(bad.clone()), "AuthorizationHeaderMalformed", "{bad}");
    }
}

#[test]
fn missing_doubled_and_undecodable_query_parameters_are_named_so() {
    let url = presigned("/b/k", noon(), "60", &[]);
    for name in ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"] {
        let begins = format!("X-Amz-{name}=");
        let without = |target: &str| {
            let (path, query) = target.split_once('?').unwrap();
            let kept: Vec<_> = query.split('&').filter(|pair| !pair.starts_with(&begins)).collect();
            format!("{path}?{}", kept.join("&"))
        };
        let expected = "AuthorizationQueryParametersError";
        assert_eq!(url.clone().target(without).code(&s3(), noon()), expected, "without {name}");
        let doubled = |target: &str| format!("{target}&{begins}x");
        assert_eq!(url.clone().target(doubled).code(&s3(), noon()), expected, "{name} twice");
        // However its name is spelt: a handler would decode it too.
        let hidden = |target: &str| format!("{target}&{}x", begins.replace('-', "%2D"));
        assert_eq!(url.clone().target(hidden).code(&s3(), noon()), expected, "{name} twice, escaped");
        let undecodable = |target: &str| target.replace(&begins, &format!("{begins}%ff"));
        assert_eq!(url.clone().target(undecodable).code(&s3(), noon()), expected, "{name} is not UTF-8");
    }
}

#[test]
fn a_request_that_is_signed_in_two_places_is_refused() {
    let both = presigned("/bucket/key", noon(), "60", &[]).header("authorization", get().value("authorization"));
    let error = both.verified(&s3(), noon()).unwrap_err();
    assert_eq!((error.clone(), error.status()), (SigError::Ambiguous, 400));
    for more in [
        "X-Amz-Signature=0",
        "X-Amz-Credential=x",
        "X%2dAmz-Algorithm=AWS4-HMAC-SHA256",
        "AWSAccessKeyId=A&Signature=x",
    ] {
        let sent = get().target(|target| format!("{target}?{more}"));
        assert_eq!(sent.verified(&s3(), noon()).unwrap_err(), SigError::Ambiguous, "{more}");
    }
    let both = presigned("/b/k", noon(), "60", &[]).target(|target| format!("{target}&AWSAccessKeyId=A"));
    assert_eq!(both.verified(&s3(), noon()).unwrap_err(), SigError::Ambiguous);
}

// Path and query.

#[test]
fn s3_paths_are_encoded_once_and_never_normalised() {
    let signed = |target: &str| {
        Sent::new("GET", target)
            .header("host", "h")
            .header("x-amz-content-sha256", EMPTY)
            .header("x-amz-date", &amz_date(noon()))
            .signed(&s3(), EMPTY, noon())
    };
    let sent = |of: &str, target: &str| signed(of).target(|_| target.to_owned()).code(&s3(), noon());
    assert_eq!(sent("/b/a%20b", "/b/a b"), "accept", "one object, two spellings");
    assert_eq!(sent("/b/%C3%A4", "/b/ä"), "accept");
    assert_eq!(sent("/b/%c3%a4", "/b/%C3%A4"), "accept");
    assert_eq!(sent("/b/../c", "/c"), "SignatureDoesNotMatch");
    assert_eq!(sent("/b//c", "/b/c"), "SignatureDoesNotMatch");
    assert_eq!(sent("/b/./c", "/b/./c"), "accept");
    assert_eq!(sent("/b/a+b", "/b/a%20b"), "SignatureDoesNotMatch", "a plus in a path is itself");
    for bad in ["/b/%", "/b/%4", "/b/%zz", "b/k", "*", "http://h/b/k", "/b/\n", "/b/\0"] {
        assert_eq!(signed("/b/k").target(|_| bad.to_owned()).code(&s3(), noon()), "InvalidURI", "{bad:?}");
    }
}

#[test]
fn queries_are_sorted_after_encoding_and_an_empty_value_keeps_its_sign() {
    let signed = |target: &str| {
        Sent::new("GET", target)
            .header("host", "h")
            .header("x-amz-content-sha256", EMPTY)
            .header("x-amz-date", &amz_date(noon()))
            .signed(&s3(), EMPTY, noon())
    };
    let sent = |of: &str, target: &str| signed(of).target(|_| target.to_owned()).code(&s3(), noon());
    assert_eq!(sent("/?acl", "/?acl="), "accept");
    assert_eq!(sent("/?b=2&a=1&a=0", "/?a=0&a=1&b=2"), "accept");
    // By name, then value: `a-b` sorts after `a`, though `-` sorts before `=`.
    let mut scratch = Scratch::new();
    let canonical = signed("/?a-b=1&a=2&%C3%A4=3&B=4&a=%20")
        .with(|request| parse(request, &s3(), noon(), &mut scratch).unwrap().explain(None).unwrap().0);
    assert_eq!(canonical.lines().nth(2), Some("%C3%A4=3&B=4&a=%20&a=2&a-b=1"));
    assert_eq!(sent("/?a=b%20c", "/?a=b+c"), "accept", "as S3 and every form parser read it");
    assert_eq!(sent("/?a=b%2Bc", "/?a=b+c"), "SignatureDoesNotMatch");
    assert_eq!(sent("/?a=1", "/?a=1&b"), "SignatureDoesNotMatch");
    assert_eq!(sent("/?a=1&b=2", "/?a=1%26b=2"), "SignatureDoesNotMatch");
    assert_eq!(sent("/?a=1", "/?&a=1&"), "accept", "nothing was added");
}

#[test]
fn other_services_encode_the_path_twice_and_hash_the_body_itself() {
    let rules = Rules::service("lightsail", REGIONS);
    let body = sha256(b"{}");
    let signed = Sent::new("POST", "/a/../b/%20/").header("host", "h").header("x-amz-date", &amz_date(noon())).signed(
        &rules,
        &hex(&body),
        noon(),
    );
    let with = |sent: &Sent, body: Option<[u8; 32]>| {
        sent.verified_by(&rules, noon(), &[Candidate::Secret(SECRET)], body.as_ref())
    };
    let verified = with(&signed, Some(body)).unwrap();
    assert_eq!(verified.payload(), Payload::Hashed);
    assert_eq!(with(&signed, None).unwrap_err(), SigError::Mismatch);
    assert_eq!(with(&signed, Some(sha256(b"{ }"))).unwrap_err(), SigError::Mismatch);
    assert!(with(&signed.clone().target(|_| "/b/%20/".into()), Some(body)).is_ok());
    assert!(with(&signed.clone().target(|_| "/b/ /".into()), Some(body)).is_err());
    let mut scratch = Scratch::new();
    let canonical =
        signed.with(|request| parse(request, &rules, noon(), &mut scratch).unwrap().explain(Some(&body)).unwrap().0);
    assert_eq!(canonical.lines().nth(1), Some("/b/%2520/"));
    // What an announcement says counts nothing here.
    let unsigned = Sent::new("POST", "/")
        .header("host", "h")
        .header("x-amz-date", &amz_date(noon()))
        .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    let unsigned = unsigned.signed(&rules, "UNSIGNED-PAYLOAD", noon());
    assert_eq!(with(&unsigned, Some(body)).unwrap_err(), SigError::Mismatch);
}

#[test]
fn other_services_may_mean_a_plus_by_a_plus() {
    // `get-query-plus` of AWS's newer test suite; a form parser would read a space.
    let at = Time::parse("2015-08-30T12:36:00Z").unwrap();
    let sent = |target: &str| {
        Sent::new("GET", target).header("Host", "example.amazonaws.com").header("X-Amz-Date", "20150830T123600Z").header(
            "Authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, \
             Signature=ae684ce3aadc299e3ac7d9216fcc039c7edf40dea57cf5b3005821dd2f176654",
        )
    };
    let regions = ["us-east-1"];
    let candidates = [Candidate::Secret(b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")];
    let done = |target: &str| {
        sent(target).verified_by(&Rules::service("service", &regions), at, &candidates, None).map(|_| ())
    };
    assert_eq!(done("/?c+d"), Ok(()));
    assert_eq!(done("/?c%2Bd"), Ok(()));
    assert_eq!(done("/?c%20d"), Err(SigError::Mismatch));
}

// Payload.

#[test]
fn the_announced_hash_is_checked_where_there_is_a_body_and_unsigned_ones_only_where_allowed() {
    let put = |hash: &str| {
        Sent::new("PUT", "/b/k")
            .header("host", "h")
            .header("x-amz-content-sha256", hash)
            .header("x-amz-date", &amz_date(noon()))
            .signed(&s3(), hash, noon())
    };
    let body = sha256(b"hello");
    let verify =
        |sent: &Sent, rules: &Rules<'_>| sent.verified_by(rules, noon(), &[Candidate::Secret(SECRET)], Some(&body));
    assert!(verify(&put(&hex(&body)), &s3()).is_ok());
    let error = verify(&put(EMPTY), &s3()).unwrap_err();
    assert_eq!((error.code(), error.status()), ("XAmzContentSHA256Mismatch", 400));
    assert_eq!(verify(&put("UNSIGNED-PAYLOAD"), &s3()).unwrap().payload(), Payload::Unsigned);
    let strict = Rules { unsigned_payload: false, ..s3() };
    assert_eq!(verify(&put("UNSIGNED-PAYLOAD"), &strict).unwrap_err(), SigError::UnsignedPayload);
    for bad in ["unsigned-payload", "", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", &EMPTY.to_uppercase(), &EMPTY[1..]]
    {
        let error = verify(&put(bad), &s3()).unwrap_err();
        assert_eq!((error.code(), error.status()), ("InvalidArgument", 400), "{bad}");
    }
    // Announced otherwise after signing.
    let changed = put(EMPTY).changed("x-amz-content-sha256", |_| hex(&body));
    assert_eq!(verify(&changed, &s3()).unwrap_err(), SigError::Mismatch);
    let changed = put(EMPTY).changed("x-amz-content-sha256", |_| "UNSIGNED-PAYLOAD".into());
    assert_eq!(verify(&changed, &s3()).unwrap_err(), SigError::Mismatch);
}

#[test]
fn a_presigned_put_may_announce_its_bodys_hash() {
    let hash = hex(&sha256(b"hello"));
    let url = presigned("/b/k", noon(), "60", &[("x-amz-content-sha256", &hash)]);
    assert_eq!(url.verified(&s3(), noon()).unwrap().payload(), Payload::Announced(sha256(b"hello")));
    let url = resigned(
        Sent::new(
            "GET",
            &format!(
                "/b/k?X-Amz-Content-Sha256={hash}&{}",
                presigned("/b/k", noon(), "60", &[]).target.split_once('?').unwrap().1
            ),
        )
        .header("host", "storage.example.com"),
        noon(),
    );
    assert_eq!(url.verified(&s3(), noon()).unwrap().payload(), Payload::Announced(sha256(b"hello")));
}

// Comparison and keys.

#[test]
fn a_signature_is_64_lowercase_hex_digits_and_nothing_else() {
    let good = get().value("authorization").rsplit_once('=').unwrap().1.to_owned();
    let mut bad: Vec<String> = (0..64)
        .map(|at| {
            let mut text = good.clone().into_bytes();
            text[at] = if text[at] == b'0' { b'1' } else { b'0' };
            String::from_utf8(text).unwrap()
        })
        .collect();
    bad.extend([
        good.to_uppercase(),
        good[1..].to_owned(),
        format!("{good}0"),
        format!("0{}", &good[1..]),
        "g".repeat(64),
        format!("0x{}", &good[2..]),
    ]);
    bad.retain(|text| *text != good);
    for text in bad {
        let sent = get().changed("authorization", |value| value.replace(&good, &text));
        assert_eq!(sent.code(&s3(), noon()), "SignatureDoesNotMatch", "{text}");
    }
}

#[test]
fn unknown_keys_are_told_so_whatever_their_signature() {
    let good = get();
    let bad = get().changed("authorization", |value| format!("{}{}", &value[..value.len() - 1], "g"));
    for sent in [good, bad] {
        let error = sent.verified_by(&s3(), noon(), &[], None).unwrap_err();
        assert_eq!((error.code(), error.status()), ("InvalidAccessKeyId", 403));
    }
}

#[test]
fn both_live_secrets_are_tried_and_the_answer_says_which_signed() {
    let other = b"another-secret";
    let key = SigningKey::derive(SECRET, "20261125", REGION, "s3");
    let foreign = SigningKey::derive(SECRET, "20261124", REGION, "s3");
    let place = |candidates: &[Candidate<'_>]| {
        get().verified_by(&s3(), noon(), candidates, None).map(|verified| verified.candidate())
    };
    assert_eq!(place(&[Candidate::Secret(SECRET), Candidate::Secret(other)]), Ok(0));
    assert_eq!(place(&[Candidate::Secret(other), Candidate::Secret(SECRET)]), Ok(1));
    assert_eq!(place(&[Candidate::Secret(other), Candidate::Key(&key)]), Ok(1));
    assert_eq!(place(&[Candidate::Key(&key), Candidate::Secret(SECRET)]), Ok(0), "the first that fits");
    assert_eq!(place(&[Candidate::Key(&foreign), Candidate::Secret(other)]), Err(SigError::Mismatch));
}

/// RustFS CVE-2026-22782, CVE-2026-45040 and GHSA-r54g: secrets and expected signatures in logs.
#[test]
fn nothing_printed_holds_a_secret_or_what_was_expected() {
    let expected = get().value("authorization").rsplit_once('=').unwrap().1.to_owned();
    let spoilt = get().changed("authorization", |value| format!("{}{}", &value[..value.len() - 64], "0".repeat(64)));
    let key = SigningKey::derive(SECRET, "20261125", REGION, "s3");
    let candidates = [Candidate::Secret(SECRET), Candidate::Key(&key)];
    let error = spoilt.verified_by(&s3(), noon(), &candidates, None).unwrap_err();
    let mut scratch = Scratch::new();
    let parsed = spoilt.with(|request| format!("{:?}", parse(request, &s3(), noon(), &mut scratch).unwrap()));
    let verified = get().verified(&s3(), noon()).unwrap();
    let printed =
        format!("{error} {error:?} {} {candidates:?} {key:?} {parsed} {verified:?} {scratch:?}", error.message());
    assert!(!printed.contains(std::str::from_utf8(SECRET).unwrap()) && !printed.contains(&expected), "{printed}");
}

// Size.

#[test]
fn what_is_over_long_is_refused_before_it_is_read() {
    let long = |headers: usize, bytes: usize| {
        let sent = (0..headers).fold(get(), |sent, number| sent.header(&format!("h{number}"), &"v".repeat(bytes)));
        sent.code(&s3(), noon())
    };
    assert_eq!(long(100, 10), "accept");
    assert_eq!(long(513, 1), "RequestHeaderSectionTooLarge");
    assert_eq!(long(1, 65 << 10), "RequestHeaderSectionTooLarge");
    assert_eq!(get().target(|_| format!("/{}", "a".repeat(33 << 10))).code(&s3(), noon()), "InvalidURI");
    assert_eq!(get().target(|target| format!("{target}?{}", "a&".repeat(1_025))).code(&s3(), noon()), "InvalidURI");
    let mut sent = get();
    sent.method = "G".repeat(33);
    assert_eq!(sent.code(&s3(), noon()), "InvalidURI");
}

proptest! {
    #[test]
    fn no_request_panics_and_what_we_sign_we_accept(
        path in "/[ -~äé]{0,20}", query in "[ -~ä]{0,30}", name in "[a-zA-Z][a-zA-Z0-9-]{0,10}", value in "[ -~\t]{0,20}",
        authorization in "[ -~]{0,60}",
    ) {
        let sent = Sent::new("GET", &format!("{}?{query}", path.replace(['%', '?'], "")))
            .header("host", "h").header("x-amz-content-sha256", EMPTY).header("x-amz-date", &amz_date(noon())).header(&name, &value);
        let clashes = ["host", "date", "authorization"].iter().any(|taken| name.eq_ignore_ascii_case(taken));
        if !clashes && !query.contains("X-Amz-") {
            prop_assert_eq!(sent.clone().signed(&s3(), EMPTY, noon()).code(&s3(), noon()), "accept");
        }
        let _ = sent.header("authorization", &format!("AWS4-HMAC-SHA256 {authorization}")).code(&s3(), noon());
    }
}

#[test]
fn a_request_lends_its_parts_and_owns_none() {
    // The shape that a gate fills: slices of what an HTTP library has read.
    let headers: [(&str, &[u8]); 1] = [("host", b"h")];
    let request = Request { method: "GET", target: b"/", headers: &headers };
    let mut scratch = Scratch::new();
    assert_eq!(parse(&request, &s3(), noon(), &mut scratch).unwrap_err(), SigError::NotSigned);
}
