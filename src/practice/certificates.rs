//! Certificates: reads a PKCS #10 request and signs it with an authority of the cluster's own (RFC 2986, RFC 5280), in the few lines
//! of DER that takes. The keys and signatures are ring's.
//!
//! Invariant: only a request whose own signature holds is signed. Not modelled: what a request's attributes ask for (names of hosts).

use chrono::{DateTime, Utc};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, UnparsedPublicKey, VerificationAlgorithm};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const BYTES: u8 = 0x04;
const IDENTIFIER: u8 = 0x06;
const UTF8: u8 = 0x0c;
const TIME: u8 = 0x18;
const YES: &[u8] = &[0x01, 0x01, 0xff];

const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

/// The cluster's authority.
pub struct Authority {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

/// A request, its signature found good.
pub struct Request {
    subject: Vec<u8>,
    key: Vec<u8>,
}

/// What a certificate is to be.
pub struct Terms<'a> {
    /// Good from, and until.
    pub valid: (DateTime<Utc>, DateTime<Utc>),
    /// `client auth`, `digital signature`, ... as requests name them.
    pub usages: &'a [String],
}

impl Authority {
    /// A new one with a key of its own; none where the machine has no randomness.
    pub fn new() -> Option<Self> {
        let random = SystemRandom::new();
        let algorithm = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).ok()?;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).ok()?;
        Some(Self { key, random })
    }

    /// The certificate of a request, as PEM; none where signing fails.
    pub fn sign(&self, request: &Request, terms: &Terms<'_>) -> Option<String> {
        let algorithm = wrap(SEQUENCE, &wrap(IDENTIFIER, ECDSA_SHA256));
        let mut serial = [0_u8; 16];
        ring::rand::SecureRandom::fill(&self.random, &mut serial).ok()?;
        // Positive and without a leading zero.
        serial[0] = serial[0] & 0x3f | 0x40;
        let time = |time: DateTime<Utc>| wrap(TIME, time.format("%Y%m%d%H%M%SZ").to_string().as_bytes());
        let name = [wrap(IDENTIFIER, COMMON_NAME), wrap(UTF8, b"kubernetes")].concat();
        let facts = [
            wrap(0xa0, &wrap(INTEGER, &[2])),
            wrap(INTEGER, &serial),
            algorithm.clone(),
            wrap(SEQUENCE, &wrap(SET, &wrap(SEQUENCE, &name))),
            wrap(SEQUENCE, &[time(terms.valid.0), time(terms.valid.1)].concat()),
            request.subject.clone(),
            request.key.clone(),
            wrap(0xa3, &wrap(SEQUENCE, &extensions(terms.usages))),
        ];
        let facts = wrap(SEQUENCE, &facts.concat());
        let signed = self.key.sign(&self.random, &facts).ok()?;
        let certificate = wrap(SEQUENCE, &[facts, algorithm, bits(0, signed.as_ref())].concat());
        Some(pem("CERTIFICATE", &certificate))
    }
}

fn extensions(usages: &[String]) -> Vec<u8> {
    let has = |usage: &str| usages.iter().any(|listed| listed == usage);
    let mut key_usage = 0_u8;
    for (usage, bit) in [("digital signature", 0x80), ("signing", 0x80), ("key encipherment", 0x20), ("key agreement", 0x08)] {
        key_usage |= if has(usage) { bit } else { 0 };
    }
    let mut purposes = Vec::new();
    for (usage, purpose) in [("client auth", CLIENT_AUTH), ("server auth", SERVER_AUTH)] {
        if has(usage) {
            purposes.extend(wrap(IDENTIFIER, purpose));
        }
    }
    let extension = |name: &[u8], critical: &[u8], value: &[u8]| {
        wrap(SEQUENCE, &[wrap(IDENTIFIER, name).as_slice(), critical, &wrap(BYTES, value)].concat())
    };
    let unused = u8::try_from(key_usage.trailing_zeros().min(7)).unwrap_or(0);
    [
        extension(KEY_USAGE, YES, &bits(unused, &[key_usage])),
        extension(EXTENDED_KEY_USAGE, &[], &wrap(SEQUENCE, &purposes)),
        extension(BASIC_CONSTRAINTS, YES, &wrap(SEQUENCE, &[])),
    ]
    .concat()
}

impl Request {
    /// Reads a request in PEM; the error is why it cannot be signed.
    pub fn read(text: &str) -> Result<Self, String> {
        let bytes = from_pem("CERTIFICATE REQUEST", text).ok_or("PEM block type must be CERTIFICATE REQUEST")?;
        let malformed = || "x509: malformed certificate request".to_owned();
        let (_, body, _) = split(&bytes).ok_or_else(malformed)?;
        let (_, facts, _) = split(body).ok_or_else(malformed)?;
        let (signed, rest) = whole(body).ok_or_else(malformed)?;
        let (_, algorithm, rest) = split(rest).ok_or_else(malformed)?;
        let (_, signature, _) = split(rest).ok_or_else(malformed)?;
        let (_, _, rest) = split(facts).ok_or_else(malformed)?;
        let (subject, rest) = whole(rest).ok_or_else(malformed)?;
        let (key, _) = whole(rest).ok_or_else(malformed)?;
        let (_, parts, _) = split(key).ok_or_else(malformed)?;
        let (_, kind, rest) = split(parts).ok_or_else(malformed)?;
        let (_, public, _) = split(rest).ok_or_else(malformed)?;
        let (_, algorithm, _) = split(algorithm).ok_or_else(malformed)?;
        let verifier = verifier(algorithm, kind).ok_or("x509: cannot verify signature: algorithm unimplemented")?;
        // The first byte of a string of bits says how many of the last are unused: none of these.
        let (public, signature) = (public.get(1..).unwrap_or_default(), signature.get(1..).unwrap_or_default());
        UnparsedPublicKey::new(verifier, public)
            .verify(signed, signature)
            .map_err(|_| "unable to verify certificate request signature: x509: verification failure".to_owned())?;
        Ok(Self { subject: subject.to_vec(), key: key.to_vec() })
    }
}

fn verifier(algorithm: &[u8], kind: &[u8]) -> Option<&'static dyn VerificationAlgorithm> {
    let on_p384 = kind.ends_with(P384);
    match algorithm {
        ECDSA_SHA256 if on_p384 => Some(&signature::ECDSA_P384_SHA256_ASN1),
        ECDSA_SHA256 => Some(&signature::ECDSA_P256_SHA256_ASN1),
        ECDSA_SHA384 if on_p384 => Some(&signature::ECDSA_P384_SHA384_ASN1),
        RSA_SHA256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        ED25519 => Some(&signature::ED25519),
        _ => None,
    }
}

/// Tag and length before some content.
fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut bytes = vec![tag];
    if content.len() < 0x80 {
        bytes.push(content.len() as u8);
    } else {
        bytes.push(0x80 | length.len() as u8);
        bytes.extend(length);
    }
    bytes.extend(content);
    bytes
}

fn bits(unused: u8, content: &[u8]) -> Vec<u8> {
    wrap(BITS, &[&[unused], content].concat())
}

/// The first element: tag, content, and what follows it.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// The first element with its tag and length, and what follows it.
fn whole(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, _, rest) = split(bytes)?;
    bytes.split_at_checked(bytes.len() - rest.len())
}

fn pem(label: &str, bytes: &[u8]) -> String {
    let text = super::base64::encode(bytes);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn from_pem(label: &str, text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    super::base64::decode(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::KeyPair;

    const ASKED: &str = include_str!("../../tests/fixtures/practice/request.pem");

    #[test]
    fn a_certificate_names_who_asked_and_holds_against_the_authority() {
        let authority = Authority::new().unwrap();
        let request = Request::read(ASKED).unwrap();
        let usages = ["client auth".to_owned(), "digital signature".to_owned()];
        let terms = Terms { valid: (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + chrono::Duration::days(1)), usages: &usages };
        let bytes = from_pem("CERTIFICATE", &authority.sign(&request, &terms).unwrap()).unwrap();
        let (_, body, _) = split(&bytes).unwrap();
        let (facts, rest) = whole(body).unwrap();
        let (_, rest) = whole(rest).unwrap();
        let (_, signature, _) = split(rest).unwrap();
        let key = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, authority.key.public_key().as_ref());
        assert!(key.verify(facts, &signature[1..]).is_ok());
        for part in [b"vera".as_slice(), b"oncall", b"kubernetes", b"19700102000000Z", CLIENT_AUTH, &request.key] {
            assert!(facts.windows(part.len()).any(|window| window == part), "{part:?}");
        }
        assert!(!facts.windows(SERVER_AUTH.len()).any(|window| window == SERVER_AUTH));
    }

    #[test]
    fn what_was_changed_after_it_was_signed_is_refused() {
        let mut bytes = from_pem("CERTIFICATE REQUEST", ASKED).unwrap();
        let place = bytes.windows(4).position(|window| window == b"vera").unwrap();
        bytes[place] = b'V';
        let refused = Request::read(&pem("CERTIFICATE REQUEST", &bytes)).err().unwrap();
        assert!(refused.contains("unable to verify certificate request signature"), "{refused}");
        for end in 0..bytes.len() {
            assert!(Request::read(&pem("CERTIFICATE REQUEST", &bytes[..end])).is_err());
        }
        assert_eq!(Request::read("no").err().unwrap(), "PEM block type must be CERTIFICATE REQUEST");
    }
}
