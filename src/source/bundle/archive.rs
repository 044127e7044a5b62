//! `.tar`, `.tar.gz`, `.tgz`, `.gz` and `.zip`, recognised by their magic bytes, read as streams.
//!
//! Reads regular files only; nothing is written to disk, so names such as `../../etc/passwd` are but names. What unpacks to far
//! more than it is (a decompression bomb) ends with a word about it.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::rc::Rc;

use super::files::{Visitor, is_hidden};

const BLOCK: usize = 512;
/// An archive that unpacks to more than this is refused.
const LARGEST: u64 = 8 << 30;
/// From this size on the ratio is looked at.
const SMALL: u64 = 32 << 20;
/// JSON and logs shrink ten- to thirtyfold; zeros a thousandfold.
const RATIO: u64 = 200;
/// Archives inside archives: a support bundle may hold a .tgz of logs.
const NESTED: usize = 2;

/// True for names of files inside a folder that are worth a look at their first bytes.
pub(super) fn may_be(path: &str) -> bool {
    let name = path.to_ascii_lowercase();
    [".tar", ".tgz", ".gz", ".zip"].iter().any(|end| name.ends_with(end))
}

/// Shows the files of an archive to `visitor`, or the file itself when it is none. `prefix` goes before the names inside.
pub(super) fn open(path: &str, mut file: File, prefix: &str, visitor: &mut dyn Visitor) {
    let mut magic = [0; 4];
    let known = file.read_exact(&mut magic).is_ok();
    if let Err(error) = file.seek(SeekFrom::Start(0)) {
        return visitor.unreadable(path, error.to_string());
    }
    if known && magic == *b"PK\x03\x04" {
        if let Err(why) = zip(file, prefix, visitor) {
            visitor.unreadable(path, why);
        }
        return;
    }
    stream(path, &mut BufReader::new(file), prefix, 0, visitor);
}

/// A file that may be a tar or a gzip, from a stream.
fn stream(path: &str, content: &mut dyn BufRead, prefix: &str, depth: usize, visitor: &mut dyn Visitor) {
    let head = content.fill_buf().unwrap_or_default();
    if head.starts_with(&[0x1f, 0x8b]) {
        if depth > NESTED {
            return visitor.unreadable(path, "archives nested too deep".to_owned());
        }
        let taken = Rc::new(Cell::new(0));
        let packed = BufReader::new(Counted { inner: content, taken: Rc::clone(&taken) });
        let plain = Bounded { inner: flate2::bufread::MultiGzDecoder::new(packed), given: 0, taken };
        return stream(unpacked_name(path), &mut BufReader::with_capacity(64 << 10, plain), prefix, depth + 1, visitor);
    }
    if is_tar(head) {
        if let Err(error) = tar(content, prefix, depth, visitor) {
            visitor.unreadable(path, format!("the archive is damaged: {error}"));
        }
    } else if visitor.wants(path) {
        visitor.file(path, content);
    }
}

fn unpacked_name(path: &str) -> &str {
    path.strip_suffix(".gz").unwrap_or(path)
}

/// POSIX (`ustar`) magic at offset 257 of the first header; GNU tar writes the same five letters.
fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
}

/// The name without what says nothing (`./`) and without what means something only when unpacked (`/`, `..`).
fn tidy(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split(['/', '\\']).filter(|part| !matches!(*part, "" | "." | "..")).collect();
    let visible = !parts.is_empty() && !parts.iter().any(|part| is_hidden(part));
    visible.then(|| parts.join("/"))
}

fn tar(content: &mut dyn BufRead, prefix: &str, depth: usize, visitor: &mut dyn Visitor) -> io::Result<()> {
    let mut header = [0; BLOCK];
    let mut long_name: Option<String> = None;
    loop {
        match content.read_exact(&mut header) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(io::Error::other("it ends too early")),
            other => other?,
        }
        if header.iter().all(|b| *b == 0) {
            return Ok(());
        }
        let size = number(header.get(124..136).unwrap_or_default()).ok_or_else(|| io::Error::other("a size is no number"))?;
        let padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
        let mut body = content.take(size);
        match header.get(156) {
            // GNU long name: the body is the name of the next entry.
            Some(b'L') => long_name = Some(text(&small(&mut body)?)),
            // pax: `LENGTH path=NAME\n` records for the next entry.
            Some(b'x') => long_name = pax_path(&small(&mut body)?).or(long_name),
            Some(b'0' | 0) => {
                let name = long_name.take().unwrap_or_else(|| header_name(&header));
                if let Some(name) = tidy(&name) {
                    member(&join(prefix, &name), &mut body, depth, visitor);
                }
            }
            _ => long_name = None,
        }
        let left = body.limit();
        skip(content, left + padding)?;
    }
}

fn member(path: &str, body: &mut dyn BufRead, depth: usize, visitor: &mut dyn Visitor) {
    if may_be(path) {
        stream(path, body, path, depth + 1, visitor);
    } else if visitor.wants(path) {
        visitor.file(path, body);
    }
}

/// A name's record; no name is this long.
fn small(body: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    body.take(64 << 10).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn skip(content: &mut dyn BufRead, bytes: u64) -> io::Result<()> {
    let skipped = io::copy(&mut content.take(bytes), &mut io::sink())?;
    if skipped == bytes { Ok(()) } else { Err(io::Error::other("it ends too early")) }
}

/// Octal digits, or GNU's base 256 for sizes beyond 8 GiB.
fn number(field: &[u8]) -> Option<u64> {
    match field.split_first() {
        Some((first, rest)) if first & 0x80 != 0 => {
            let start = u64::from(first & 0x7f);
            rest.iter().try_fold(start, |n, b| n.checked_mul(256)?.checked_add(u64::from(*b)))
        }
        _ => u64::from_str_radix(text(field).trim(), 8).ok(),
    }
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

fn zip(file: File, prefix: &str, visitor: &mut dyn Visitor) -> Result<(), String> {
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|e| format!("the archive is damaged: {e}"))?;
    for index in 0..archive.len() {
        let member = match archive.by_index(index) {
            Ok(member) => member,
            Err(error) => {
                visitor.unreadable(&join(prefix, &format!("entry {index}")), error.to_string());
                continue;
            }
        };
        if !member.is_file() {
            continue;
        }
        let Some(name) = member.name().ok().and_then(|name| tidy(&name)) else { continue };
        let taken = Rc::new(Cell::new(member.compressed_size()));
        let mut plain = BufReader::new(Bounded { inner: member, given: 0, taken });
        self::member(&join(prefix, &name), &mut plain, 0, visitor);
    }
    Ok(())
}

/// Counts what is read.
struct Counted<'a> {
    inner: &'a mut dyn BufRead,
    taken: Rc<Cell<u64>>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.taken.set(self.taken.get() + read as u64);
        Ok(read)
    }
}

/// Ends with an error when far more comes out than went in.
struct Bounded<R> {
    inner: R,
    given: u64,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.given += read as u64;
        if self.given > LARGEST || (self.given > SMALL && self.given / self.taken.get().max(1) > RATIO) {
            return Err(io::Error::other("it unpacks to far more than a bundle holds"));
        }
        Ok(read)
    }
}
