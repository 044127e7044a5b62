//! `tar` as far as `kubectl cp` needs it: regular files and folders, in the ustar format.
//!
//! Source: POSIX.1-1988 ustar, and the `path` record of pax headers, which Go writes for long names.

const BLOCK: usize = 512;

/// An archive of these files (path without leading slash, content), all changed at `seconds` of the Unix epoch.
pub fn pack(files: &[(String, Vec<u8>)], seconds: i64) -> Vec<u8> {
    let mut archive = Vec::new();
    for (path, content) in files {
        archive.extend_from_slice(&header(path, content.len(), seconds));
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

fn header(path: &str, length: usize, seconds: i64) -> Vec<u8> {
    let mut block = Vec::with_capacity(BLOCK);
    let mut field = |text: &str, width: usize| {
        block.extend(text.bytes().chain(std::iter::repeat(0)).take(width));
    };
    let (prefix, name) = match path.len() {
        0..=100 => ("", path),
        _ => path.match_indices('/').map(|(at, _)| path.split_at(at)).find(|(_, name)| name.len() <= 101).unwrap_or(("", path)),
    };
    field(name.trim_start_matches('/'), 100);
    for number in ["0000644", "0000000", "0000000"] {
        field(number, 8);
    }
    field(&format!("{length:011o}"), 12);
    field(&format!("{:011o}", seconds.max(0)), 12);
    field("        ", 8);
    field("0", 1);
    field("", 100);
    field("ustar\u{0}00", 8);
    field("root", 32);
    field("root", 32);
    field("0000000", 8);
    field("0000000", 8);
    field(prefix, 155);
    field("", 12);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block.splice(148..156, format!("{sum:06o}\u{0} ").into_bytes());
    block
}

/// The files of an archive; none when it is damaged.
pub fn unpack(mut archive: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let (mut files, mut long_name) = (Vec::new(), None);
    while let Some((head, rest)) = archive.split_at_checked(BLOCK) {
        if head.iter().all(|byte| *byte == 0) {
            return Some(files);
        }
        let length = usize::from_str_radix(text(head.get(124..136)?).trim(), 8).ok()?;
        let content = rest.get(..length)?;
        archive = rest.get(length.next_multiple_of(BLOCK).min(rest.len())..)?;
        let (prefix, name) = (text(head.get(345..500)?), text(head.get(..100)?));
        let short = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        match head.get(156)? {
            b'x' => long_name = pax_path(content),
            b'0' | 0 => files.push((long_name.take().unwrap_or(short), content.to_vec())),
            _ => long_name = None,
        }
    }
    Some(files)
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned()
}

/// `LENGTH path=VALUE` among the lines of a pax header.
fn pax_path(content: &[u8]) -> Option<String> {
    let lines = String::from_utf8_lossy(content);
    lines.lines().find_map(|line| Some(line.split_once(' ')?.1.strip_prefix("path=")?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks_and_a_cut_archive_is_refused() {
        let long = format!("{}/{}", "a".repeat(120), "b".repeat(60));
        let files = vec![("etc/hosts".to_owned(), b"127.0.0.1\n".to_vec()), (long, vec![0, 255, 10])];
        let archive = pack(&files, 1_795_000_000);
        assert_eq!(archive.len() % BLOCK, 0);
        assert_eq!(unpack(&archive), Some(files));
        assert_eq!(unpack(&archive[..BLOCK + 3]), None);
    }
}
