//! Until when a certificate is valid: the one field of X.509 (RFC 5280, 4.1) that says why a login stopped working.

use chrono::{NaiveDateTime, Utc};

use crate::text::Time;

const SEQUENCE: u8 = 0x30;
/// `[0]`, the version.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;

/// `notAfter` of a certificate in DER; `None` if it is not one.
pub(in crate::cluster) fn not_after(der: &[u8]) -> Option<Time> {
    let (tag, certificate, _) = element(der)?;
    let (to_be_signed, fields, _) = element(certificate)?;
    if tag != SEQUENCE || to_be_signed != SEQUENCE {
        return None;
    }
    let (first, _, after_first) = element(fields)?;
    // Version (optional), serial number, signature algorithm, issuer, validity.
    let mut rest = if first == VERSION { after_first } else { fields };
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (_, _, after_not_before) = element(validity)?;
    let (tag, end, _) = element(after_not_before)?;
    let text = std::str::from_utf8(end).ok()?;
    // Two digits of a year mean 1950 to 2049.
    let whole = match tag {
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        _ => text.to_owned(),
    };
    NaiveDateTime::parse_from_str(&whole, "%Y%m%d%H%M%SZ").ok().map(|at| at.and_local_timezone(Utc).single())?
}

/// Tag and content of the first element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = if short < 0x80 {
        (usize::from(short), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        let path = format!("{}/tests/fixtures/tls/{name}.crt", env!("CARGO_MANIFEST_DIR"));
        CertificateDer::from_pem_file(path).unwrap().to_vec()
    }

    #[test]
    fn the_end_is_read_in_both_forms_of_a_time_and_nothing_else_is_taken_for_one() {
        assert_eq!(not_after(&fixture("expired")).unwrap().to_rfc3339(), "2021-01-01T00:00:00+00:00");
        assert_eq!(not_after(&fixture("server")).unwrap().to_rfc3339(), "2120-01-01T00:00:00+00:00");
        let whole = fixture("client");
        for cut in 0..whole.len() {
            assert_eq!(not_after(&whole[..cut]), None, "cut after {cut} bytes");
        }
        assert_eq!(not_after(b"0\x84\xff\xff\xff\xff"), None);
    }
}
