//! Protobuf's own grammar: tags, varints, and values with a length. Nothing of Kubernetes.

/// A field of a message as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a> {
    /// The field's number.
    pub number: u32,
    /// A varint, or the length of `data`.
    pub scalar: u64,
    /// The bytes of a value with a length; empty for numbers.
    pub data: &'a [u8],
}

/// The message is cut off, or uses what Kubernetes' messages never use (groups).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Takes the next field off `bytes`; none at the end.
#[inline]
pub fn next<'a>(bytes: &mut &'a [u8]) -> Result<Option<Raw<'a>>, Malformed> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let tag = varint(bytes).ok_or(Malformed)?;
    let number = u32::try_from(tag >> 3).map_err(|_| Malformed)?;
    let (scalar, data): (u64, &[u8]) = match tag & 7 {
        0 => (varint(bytes).ok_or(Malformed)?, &[]),
        1 => (0, take(bytes, 8).ok_or(Malformed)?),
        2 => {
            let length = varint(bytes).ok_or(Malformed)?;
            (length, usize::try_from(length).ok().and_then(|length| take(bytes, length)).ok_or(Malformed)?)
        }
        5 => (0, take(bytes, 4).ok_or(Malformed)?),
        _ => return Err(Malformed),
    };
    Ok(Some(Raw { number, scalar, data }))
}

/// The fields of a message, in the order they were written; ends at what is malformed.
pub fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || next(&mut bytes).ok().flatten().map(|raw| (raw.number, raw.data)))
}

/// The part of a message from the first to the last field of that number: fields of one number follow each other.
pub fn run(bytes: &[u8], number: u32) -> &[u8] {
    let (mut rest, mut start, mut end) = (bytes, None, 0);
    loop {
        let before = bytes.len() - rest.len();
        match next(&mut rest) {
            Ok(Some(raw)) if raw.number == number => {
                start.get_or_insert(before);
                end = bytes.len() - rest.len();
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(Malformed) => break,
        }
    }
    start.and_then(|start| bytes.get(start..end)).unwrap_or_default()
}

/// Takes a varint off `bytes`.
#[inline]
pub fn varint(bytes: &mut &[u8]) -> Option<u64> {
    if let Some((first, rest)) = bytes.split_first()
        && *first < 0x80
    {
        *bytes = rest;
        return Some(u64::from(*first));
    }
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[inline]
fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}

/// Appends a varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes a varint takes.
pub fn varint_length(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends a number.
pub fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// Appends the tag and the length of a value of that many bytes.
pub fn put_head(out: &mut Vec<u8>, number: u32, length: usize) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, length as u64);
}

/// Appends a value with its length.
pub fn put_data(out: &mut Vec<u8>, number: u32, data: &[u8]) {
    put_head(out, number, data.len());
    out.extend_from_slice(data);
}

/// Appends a message that `fill` writes.
pub fn put_message(out: &mut Vec<u8>, number: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    put_varint(out, u64::from(number) << 3 | 2);
    let start = out.len();
    fill(out);
    let mut head = Vec::with_capacity(4);
    put_varint(&mut head, (out.len() - start) as u64);
    out.splice(start..start, head);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_come_back() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_length(value));
            let mut rest = out.as_slice();
            assert_eq!((varint(&mut rest), rest.len()), (Some(value), 0));
            let mut cut = out.get(..out.len() - 1).unwrap();
            assert!(out.len() == 1 || varint(&mut cut).is_none());
        }
    }

    #[test]
    fn a_message_that_is_cut_off_is_malformed_wherever_it_is_cut() {
        let mut out = Vec::new();
        put_number(&mut out, 1, 5);
        put_message(&mut out, 200, |out| put_data(out, 2, b"text"));
        let mut whole = out.as_slice();
        assert_eq!(next(&mut whole), Ok(Some(Raw { number: 1, scalar: 5, data: &[] })));
        assert_eq!(next(&mut whole), Ok(Some(Raw { number: 200, scalar: 6, data: b"\x12\x04text" })));
        assert_eq!(next(&mut whole), Ok(None));
        for end in 3..out.len() {
            let mut cut = out.get(2..end).unwrap();
            assert_eq!(next(&mut cut), Err(Malformed), "cut at {end}");
        }
    }
}
