//! `.tar` and `.tgz` archives, recognised by their magic bytes. Reads regular files only; nothing is written to disk.

use std::io::{self, Read};

use super::files::File;

const BLOCK: usize = 512;
/// An archive that unpacks to more than this is refused (a decompression bomb, or not a bundle).
const LARGEST: u64 = 2 << 30;

/// The files of an archive; `None` when `bytes` is no archive.
///
/// # Errors
/// The archive is damaged or too large.
pub(super) fn unpack(bytes: &[u8]) -> io::Result<Option<Vec<File>>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return if is_tar(bytes) { tar(bytes).map(Some) } else { Ok(None) };
    }
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).take(LARGEST).read_to_end(&mut plain)?;
    if plain.len() as u64 == LARGEST {
        return Err(io::Error::other("unpacks to more than 2 GiB"));
    }
    if is_tar(&plain) { tar(&plain).map(Some) } else { Ok(Some(vec![File { path: "unpacked".to_owned(), bytes: plain }])) }
}

/// POSIX (`ustar`) magic at offset 257 of the first header; GNU tar writes the same five letters.
fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

fn tar(mut bytes: &[u8]) -> io::Result<Vec<File>> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the archive is damaged");
    let mut files = Vec::new();
    let mut long_name = None;
    while let Some((header, rest)) = bytes.split_at_checked(BLOCK) {
        if header.iter().all(|b| *b == 0) {
            break;
        }
        let size = octal(header.get(124..136).unwrap_or_default()).ok_or_else(damaged)?;
        let body = rest.get(..size).ok_or_else(damaged)?;
        bytes = rest.get(size.div_ceil(BLOCK) * BLOCK..).unwrap_or_default();
        let name = || long_name.clone().unwrap_or_else(|| header_name(header));
        match header.get(156) {
            // GNU long name: the body is the name of the next entry.
            Some(b'L') => {
                long_name = Some(text(body));
                continue;
            }
            // pax: `LENGTH path=NAME\n` records for the next entry.
            Some(b'x') => {
                long_name = pax_path(body);
                continue;
            }
            Some(b'0' | 0) => {
                let path = name().trim_start_matches("./").to_owned();
                if !path.split('/').any(|part| part.starts_with('.')) {
                    files.push(File { path, bytes: body.to_vec() });
                }
            }
            _ => {}
        }
        long_name = None;
    }
    Ok(files)
}

fn octal(field: &[u8]) -> Option<usize> {
    let text = text(field);
    usize::from_str_radix(text.trim(), 8).ok()
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned()
}

fn header_name(header: &[u8]) -> String {
    let name = text(header.get(..100).unwrap_or_default());
    let prefix =
        if header.get(257..263) == Some(b"ustar\0") { text(header.get(345..500).unwrap_or_default()) } else { String::new() };
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

fn pax_path(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    text.lines().find_map(|line| line.split_once(" path=").map(|(_, path)| path.to_owned()))
}
