//! How bad a log line is, by what applications commonly write: words, JSON levels, klog letters, tracebacks, HTTP statuses.

/// How bad a log line is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It does not say.
    #[default]
    Plain,
    /// A call in a traceback: where it happened, not what.
    Frame,
    /// For developers.
    Debug,
    /// As it should be.
    Info,
    /// Might hurt.
    Warning,
    /// Failed.
    Error,
}

/// Words that say a level, upper case, the worst first.
const WORDS: &[(&str, Level)] = &[
    ("FATAL", Level::Error),
    ("PANIC", Level::Error),
    ("CRITICAL", Level::Error),
    ("EMERG", Level::Error),
    ("ERROR", Level::Error),
    ("ERRO", Level::Error),
    ("ERR", Level::Error),
    ("SEVERE", Level::Error),
    ("WARNING", Level::Warning),
    ("WARN", Level::Warning),
    ("NOTICE", Level::Info),
    ("INFO", Level::Info),
    ("DEBUG", Level::Debug),
    ("TRACE", Level::Debug),
];

/// A level stands near the start of a line; what follows is the message, which may use any word.
const LOOK_AT: usize = 96;

/// Reads levels line by line: of a traceback the exception is the error, the calls that led there are not.
#[derive(Debug, Clone, Default)]
pub struct Levels {
    traceback: Traceback,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Traceback {
    #[default]
    None,
    /// In its indented frames.
    Frames,
    /// After the line that names the exception: what it goes on to say belongs to it.
    Message,
}

/// How what follows an exception begins: SQLAlchemy's notes, and the traceback it came from.
const GOES_ON: &[&str] =
    &["(Background on this error", "[SQL: ", "[parameters: ", "The above exception was", "During handling of"];

impl Levels {
    /// The level of the next line.
    pub fn next(&mut self, line: &str) -> Level {
        let inside = line.is_empty() || line.starts_with([' ', '\t']);
        let goes_on = inside || GOES_ON.iter().any(|words| line.starts_with(words));
        self.traceback = match self.traceback {
            _ if line.contains("Traceback (most recent call last)") || is_python_frame(line) => Traceback::Frames,
            Traceback::Frames if inside => Traceback::Frames,
            Traceback::Frames => Traceback::Message,
            Traceback::Message if goes_on => Traceback::Message,
            Traceback::Message | Traceback::None => Traceback::None,
        };
        match self.traceback {
            Traceback::Frames => Level::Frame,
            Traceback::Message => Level::Error,
            Traceback::None => of(line),
        }
    }
}

/// `  File "/app/main.py", line 3, in <module>`: what was read of a log may begin in the middle of a traceback.
fn is_python_frame(line: &str) -> bool {
    line.trim_start().strip_prefix("File \"").is_some_and(|rest| rest.contains("\", line "))
}

/// `\tat com.example.Main.run(Main.java:42)`, `\t... 12 more`, `    at Object.<anonymous> (/app/server.js:3:9)`.
fn is_stack_line(line: &str) -> bool {
    let call = line.trim_start();
    let more = call.strip_prefix("... ").is_some_and(|rest| rest.ends_with(" more"));
    call.len() < line.len() && (more || call.strip_prefix("at ").is_some_and(|rest| rest.contains(['(', '/', ':'])))
}

/// The level of a line by itself.
pub fn of(line: &str) -> Level {
    let head = head(line);
    if is_stack_line(line) {
        return Level::Frame;
    }
    if let Some(level) = klog(head) {
        return level;
    }
    if head.starts_with("panic: ") || head.starts_with("Caused by: ") || head.starts_with("Exception in thread ") {
        return Level::Error;
    }
    let said = head
        .split(|c: char| !c.is_ascii_alphanumeric())
        .find_map(|word| WORDS.iter().find(|(known, _)| says_level(word, known)).map(|(_, level)| *level));
    match (said, http_status(line)) {
        (None | Some(Level::Info | Level::Debug), Some(500..=599)) => Level::Error,
        (said, _) => said.unwrap_or_default(),
    }
}

/// `ERROR`, `Error`, or `error`: written in lower case it counts too (logfmt, JSON).
fn says_level(word: &str, known: &str) -> bool {
    word.len() == known.len() && word.eq_ignore_ascii_case(known)
}

fn head(line: &str) -> &str {
    let mut end = line.len().min(LOOK_AT);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.get(..end).unwrap_or(line)
}

/// `E1122 02:46:01.123 ...`.
fn klog(head: &str) -> Option<Level> {
    let bytes = head.as_bytes();
    let digits = bytes.get(1..5)?.iter().all(u8::is_ascii_digit) && bytes.get(5) == Some(&b' ');
    match (digits, bytes.first()?) {
        (true, b'E' | b'F') => Some(Level::Error),
        (true, b'W') => Some(Level::Warning),
        (true, b'I') => Some(Level::Info),
        _ => None,
    }
}

/// The status of an access log line: `"GET / HTTP/1.1" 500`.
fn http_status(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once(" HTTP/")?;
    let (_, rest) = rest.split_once("\" ")?;
    rest.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_in_the_forms_services_write_them() {
        assert_eq!(of("2026-07-21 02:46:54 WARNING app: SLOW REQUEST"), Level::Warning);
        assert_eq!(of("ERROR:    Application startup failed. Exiting."), Level::Error);
        assert_eq!(of(r#"{"level":"error","msg":"x"}"#), Level::Error);
        assert_eq!(of("level=info msg=\"no error here\""), Level::Info);
        assert_eq!(of("W0721 02:46:54.000001 1 x.go:1] slow"), Level::Warning);
        assert_eq!(of("INFO:     10.0.3.1:4242 - \"GET /orders HTTP/1.1\" 500 Internal Server Error"), Level::Error);
        assert_eq!(of("hello"), Level::Plain);
    }

    #[test]
    fn of_a_traceback_the_exception_is_the_error() {
        let mut levels = Levels::default();
        let frames =
            ["Traceback (most recent call last):", "  File \"x.py\", line 1, in connect", "    raise error", "    ^^^^^^^^^^^"];
        assert!(frames.iter().all(|line| levels.next(line) == Level::Frame));
        let message = [
            "OperationalError: connection refused",
            "\tIs the server running?",
            "",
            "(Background on this error at: https://sqlalche.me/e/20/e3q8)",
        ];
        assert!(message.iter().all(|line| levels.next(line) == Level::Error));
        assert_eq!(levels.next("INFO: next"), Level::Info);
        assert_eq!(levels.next("plain"), Level::Plain);
    }

    #[test]
    fn a_log_may_begin_inside_a_traceback() {
        let mut levels = Levels::default();
        let lines =
            ["  File \"pool.py\", line 143, in _do_get", "    return self._create_connection()", "OperationalError: refused"];
        assert_eq!(lines.map(|line| levels.next(line)), [Level::Frame, Level::Frame, Level::Error]);
    }

    #[test]
    fn calls_of_a_java_or_node_stack_are_no_errors() {
        assert_eq!(
            of("\tat com.zaxxer.hikari.pool.HikariPool.throwPoolInitializationException(HikariPool.java:596)"),
            Level::Frame
        );
        assert_eq!(of("\t... 12 common frames omitted more"), Level::Frame);
        assert_eq!(of("    at Server.setupListenHandle [as _listen2] (node:net:1817:16)"), Level::Frame);
        assert_eq!(of("Caused by: java.net.UnknownHostException: postgres"), Level::Error);
        assert_eq!(of("  at noon"), Level::Plain);
    }
}
