//! Image references taken apart: registry host, repository, tag, digest.

/// `host/repository:tag@digest`, split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference<'a> {
    /// Registry host with port; `docker.io` when the reference names none.
    pub host: &'a str,
    /// Everything before tag and digest, as written.
    pub repository: &'a str,
    /// Tag, if any.
    pub tag: Option<&'a str>,
    /// Digest, if any.
    pub digest: Option<&'a str>,
}

/// Splits an image reference the way the runtime does: the first segment is a host when it holds a dot, a colon, or is `localhost`.
pub fn parse(image: &str) -> ImageReference<'_> {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    let last_slash = rest.rfind('/').map_or(0, |i| i + 1);
    let (repository, tag) = match rest.get(last_slash..).and_then(|name| name.find(':')) {
        Some(colon) => {
            let at = last_slash + colon;
            (rest.get(..at).unwrap_or(rest), rest.get(at + 1..))
        }
        None => (rest, None),
    };
    let first = repository.split('/').next().unwrap_or_default();
    let has_host = repository.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    ImageReference { host: if has_host { first } else { "docker.io" }, repository, tag, digest }
}

/// The tag with letters that look like digits replaced (`v1.0.O` → `v1.0.0`), when that changes it and it looks like a version.
pub fn digit_typo(tag: &str) -> Option<String> {
    let is_version = tag.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    let chars: Vec<char> = tag.chars().collect();
    let fixed: String = chars
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let alone = |j: Option<&char>| j.is_none_or(|c| c.is_ascii_digit() || *c == '.');
            let lonely = alone(i.checked_sub(1).and_then(|j| chars.get(j))) && alone(chars.get(i + 1));
            match c {
                'O' | 'o' if lonely => '0',
                'l' | 'I' if lonely => '1',
                other => *other,
            }
        })
        .collect();
    (is_version && fixed != tag).then_some(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_split_as_the_runtime_splits_them() {
        assert_eq!(parse("nginx"), ImageReference { host: "docker.io", repository: "nginx", tag: None, digest: None });
        let full = parse("127.0.0.1:5001/team/app:v1@sha256:ab");
        assert_eq!(
            (full.host, full.repository, full.tag, full.digest),
            ("127.0.0.1:5001", "127.0.0.1:5001/team/app", Some("v1"), Some("sha256:ab"))
        );
        assert_eq!(parse("acme/web:2").host, "docker.io");
    }

    #[test]
    fn letters_that_look_like_digits_are_found() {
        assert_eq!(digit_typo("v1.0.O").as_deref(), Some("v1.0.0"));
        assert_eq!(digit_typo("v1.0.1"), None);
        assert_eq!(digit_typo("latest"), None);
        assert_eq!(digit_typo("1.2-foo"), None);
    }
}
