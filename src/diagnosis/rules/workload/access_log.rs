//! Access log lines: status, duration and path of one request, out of the common formats.
//!
//! Default lines of uvicorn, gunicorn and nginx carry no duration, and none is guessed: a number counts as a duration only when
//! the line or the format's own documentation gives its unit. To add a format: a function in [`parse`]'s list and a test line.

use serde_json::Value;

use crate::diagnosis::rules::pattern::Pattern;

/// What a line says about one request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// HTTP status; `None` in lines that only complain about slowness.
    pub status: Option<u16>,
    /// How long it took, in milliseconds, where the line tells.
    pub millis: Option<f64>,
    /// `POST /orders`, without the query.
    pub what: String,
    /// Asked by a probe, a load balancer's check or a metrics scraper.
    pub is_check: bool,
}

/// `"GET /path HTTP/1.1" 200 rest`: uvicorn, gunicorn, nginx, Apache, hypercorn, Envoy.
static COMMON: Pattern = Pattern::new(
    r#""(?P<method>GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (?P<path>\S+)(?: HTTP/[\d.]+| [12](?:\.\d)?)?" (?P<status>[1-5]\d\d)\b(?P<rest>.*)$"#,
);
/// `POST /path 200 12.345 ms - 5` of morgan, and others that write method, path, status, duration.
static PLAIN: Pattern = Pattern::new(
    r"\b(?P<method>GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (?P<path>/\S*) (?P<status>[1-5]\d\d) (?P<rest>\S*\d\S* ?(?:ms|s|µs).*)$",
);
/// `[GIN] 2026/11/22 - 20:28:43 | 200 |  1.234567s |  10.0.0.1 | GET  "/path"`.
static GIN: Pattern = Pattern::new(
    r#"^\[GIN\].*\|\s*(?P<status>[1-5]\d\d)\s*\|\s*(?P<rest>[\d.]+ ?(?:µs|ms|s))\s*\|.*\|\s*(?P<method>[A-Z]+)\s+"(?P<path>[^"]*)""#,
);
/// `Completed 500 Internal Server Error in 1234ms` of Rails.
static RAILS: Pattern = Pattern::new(r"\bCompleted (?P<status>[1-5]\d\d) .*\bin (?P<rest>[\d.]+ ?ms)");
/// `method=GET path=/orders ... status=500 duration=123.45` of lograge and other key=value loggers.
static LOGFMT: Pattern = Pattern::new(r"\bmethod=(?P<method>[A-Z]+)\b.*\bstatus=(?P<status>[1-5]\d\d)\b");
static LOGFMT_PATH: Pattern = Pattern::new(r"\b(?:path|uri|url)=(\S+)");
static LOGRAGE: Pattern = Pattern::new(r"\bcontroller=.*\bduration=([\d.]+)");

/// A duration with its unit: `rt=0.123` and `request_time=0.123` are nginx's seconds, any other needs a unit.
static SECONDS: Pattern = Pattern::new(
    r#"\b(?:rt|urt|request_time|upstream_response_time|response_time_s|duration_s|time_taken_s)[=:] ?"?([\d.]+)(?:s|"|,|\s|$)"#,
);
static MILLIS: Pattern =
    Pattern::new(r#"\b(?:response_time|duration|elapsed|latency|took|time|request_time)_?ms"?[=: ]+"?([\d.]+)"#);
static WITH_UNIT: Pattern = Pattern::new(r"(?:^|[\s=:(|\[])([\d.]+) ?(µs|us|ms|msec|s|sec|seconds|milliseconds)(?:$|[\s,;)|\]])");
static SLOW: Pattern = Pattern::new(
    r"(?i)\b(?:slow[ _-](?:request|response|endpoint|handler|call)|(?:request|response|handler)[^.;]{0,60}? (?:took|completed in|processed in|finished in))\b(?P<rest>.*)$",
);
static SLOW_PATH: Pattern = Pattern::new(r"\b((?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) /[^\s?]*|/[A-Za-z][\w/{}.:-]*)");
static CHECKER: Pattern =
    Pattern::new(r"(?i)kube-probe/|ELB-HealthChecker|GoogleHC/|Prometheus/|Blackbox|Envoy/HC|Consul Health|UptimeRobot");
static CHECK_PATH: Pattern = Pattern::new(
    r"(?i)^/(?:[\w-]+/){0,2}_?(?:health|healthz|healthcheck|health-check|ready|readyz|readiness|live|livez|liveness|ping|metrics|startup|startupz)(?:/[\w-]*)?/?$",
);

/// What a line says about a request; `None` for lines that are no access log.
pub fn parse(line: &str) -> Option<Request> {
    let trimmed = line.trim();
    if trimmed.starts_with('{') {
        return json(trimmed);
    }
    if !trimmed.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    [&COMMON, &GIN, &PLAIN, &RAILS]
        .into_iter()
        .find_map(|pattern| common(pattern, trimmed))
        .or_else(|| logfmt(trimmed))
        .or_else(|| slow(trimmed))
}

/// True when probes of any workload ask for that path by convention.
pub fn is_check_path(path: &str) -> bool {
    CHECK_PATH.is_match(path)
}

fn bare(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or(path)
}

fn request(method: &str, path: &str, status: Option<u16>, millis: Option<f64>, line: &str) -> Request {
    let path = bare(path);
    let what = format!("{method} {path}").trim().to_owned();
    Request { status, millis, what, is_check: CHECKER.is_match(line) || is_check_path(path) }
}

fn common(pattern: &Pattern, line: &str) -> Option<Request> {
    let found = pattern.captures(line)?;
    let group = |name| found.name(name).map_or("", |m| m.as_str());
    let status = group("status").parse().ok();
    Some(request(group("method"), group("path"), status, duration(group("rest")), line))
}

fn logfmt(line: &str) -> Option<Request> {
    let found = LOGFMT.captures(line)?;
    let group = |name| found.name(name).map_or("", |m| m.as_str());
    let path = LOGFMT_PATH.group(line, 1).unwrap_or_default().trim_matches('"');
    // lograge documents its duration in milliseconds.
    let millis = LOGRAGE.group(line, 1).and_then(|n| n.parse().ok()).or_else(|| duration(line));
    Some(request(group("method"), path, group("status").parse().ok(), millis, line))
}

fn slow(line: &str) -> Option<Request> {
    let found = SLOW.captures(line)?;
    let millis = duration(found.name("rest").map_or("", |m| m.as_str()))?;
    let what = SLOW_PATH.group(line, 1).unwrap_or("a request").to_owned();
    let path = what.rsplit(' ').next().unwrap_or_default().to_owned();
    Some(Request { status: None, millis: Some(millis), is_check: CHECKER.is_match(line) || is_check_path(&path), what })
}

/// A duration in milliseconds out of the rest of a line.
fn duration(text: &str) -> Option<f64> {
    if let Some(seconds) = SECONDS.group(text, 1).and_then(|n| n.parse::<f64>().ok()) {
        return Some(seconds * 1000.0);
    }
    if let Some(millis) = MILLIS.group(text, 1).and_then(|n| n.parse().ok()) {
        return Some(millis);
    }
    let found = WITH_UNIT.captures(text)?;
    let number: f64 = found.get(1)?.as_str().parse().ok()?;
    Some(number * factor(found.get(2)?.as_str()))
}

fn factor(unit: &str) -> f64 {
    match unit {
        "µs" | "us" => 0.001,
        "s" | "sec" | "seconds" => 1000.0,
        _ => 1.0,
    }
}

/// Fields that hold the status, in the order they are looked for.
const STATUS: &[&str] = &[
    "/status",
    "/status_code",
    "/statusCode",
    "/response_code",
    "/responseStatus",
    "/http_status",
    "/res/statusCode",
    "/response/status",
    "/response/status_code",
    "/http/status_code",
    "/http/response/status_code",
    "/httpRequest/status",
    "/DownstreamStatus",
];
const PATHS: &[&str] = &[
    "/path",
    "/url",
    "/uri",
    "/request_uri",
    "/req/url",
    "/request/path",
    "/request/uri",
    "/http/url",
    "/http/path",
    "/url/path",
    "/httpRequest/requestUrl",
    "/RequestPath",
];
const METHODS: &[&str] = &[
    "/method",
    "/request_method",
    "/http_method",
    "/req/method",
    "/request/method",
    "/http/method",
    "/httpRequest/requestMethod",
    "/RequestMethod",
];
const IN_MILLIS: &[&str] = &[
    "/duration_ms",
    "/durationMs",
    "/elapsed_ms",
    "/latency_ms",
    "/latencyMs",
    "/response_time_ms",
    "/responseTimeMs",
    "/request_time_ms",
    "/process_time_ms",
    "/time_ms",
    "/took_ms",
    "/responseTime",
    "/http/duration_ms",
];
const IN_SECONDS: &[&str] =
    &["/request_time", "/upstream_response_time", "/duration_s", "/duration_seconds", "/elapsed_seconds", "/process_time_s"];

fn json(line: &str) -> Option<Request> {
    let value: Value = serde_json::from_str(line).ok()?;
    let status = STATUS.iter().find_map(|p| number(value.pointer(p)?)).filter(|s| (100.0..600.0).contains(s));
    let text = |pointers: &[&str]| pointers.iter().find_map(|p| value.pointer(p)?.as_str()).unwrap_or_default().to_owned();
    let (method, path) = (text(METHODS), text(PATHS));
    if status.is_none() || method.is_empty() && path.is_empty() {
        // The application's own line may be wrapped: {"msg": "INFO: ... \"GET / HTTP/1.1\" 200"}.
        let message = ["/message", "/msg", "/log", "/event"].iter().find_map(|p| value.pointer(p)?.as_str())?;
        return if message.trim_start().starts_with('{') { None } else { parse(message) };
    }
    let path =
        path.split_once("://").map_or(path.as_str(), |(_, rest)| rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 100 and 600")]
    let status = status.map(|s| s as u16);
    Some(request(&method, path, status, json_duration(&value), line))
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn json_duration(value: &Value) -> Option<f64> {
    let of = |pointers: &[&str]| pointers.iter().find_map(|p| number(value.pointer(p)?));
    if let Some(millis) = of(IN_MILLIS) {
        return Some(millis);
    }
    if let Some(seconds) = of(IN_SECONDS) {
        return Some(seconds * 1000.0);
    }
    // Traefik counts nanoseconds, Envoy milliseconds, Caddy seconds.
    if let Some(nanos) = value.get("DownstreamStatus").and_then(|_| number(value.get("Duration")?)) {
        return Some(nanos / 1e6);
    }
    let plain = value.get("duration").and_then(number);
    if value.get("response_code").is_some() {
        return plain;
    }
    if value.get("request").is_some_and(Value::is_object) {
        return plain.map(|seconds| seconds * 1000.0);
    }
    let words = ["/duration", "/latency", "/elapsed", "/took", "/response_time", "/httpRequest/latency"];
    words.iter().find_map(|p| duration(value.pointer(p)?.as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> (Option<u16>, Option<f64>, String) {
        let found = parse(line).unwrap_or_else(|| panic!("no request in {line}"));
        (found.status, found.millis.map(|m| (m * 1000.0).round() / 1000.0), found.what)
    }

    fn row(status: u16, millis: Option<f64>, what: &str) -> (Option<u16>, Option<f64>, String) {
        (Some(status), millis, what.to_owned())
    }

    #[test]
    fn default_lines_carry_a_status_and_no_duration() {
        assert_eq!(
            read(r#"INFO:     127.0.0.1:59186 - "GET /boom?x=1 HTTP/1.1" 500 Internal Server Error"#),
            row(500, None, "GET /boom")
        );
        assert_eq!(
            read(r#"127.0.0.1 - - [22/Nov/2026:20:28:43 +0000] "GET / HTTP/1.1" 200 2 "-" "curl/7.88.1""#),
            row(200, None, "GET /")
        );
        assert_eq!(
            read(r#"10.1.1.1 - - [22/Nov/2026:20:28:43 +0000] "POST /api HTTP/1.1" 502 157 "-" "x""#),
            row(502, None, "POST /api")
        );
    }

    #[test]
    fn durations_count_with_their_unit() {
        let nginx = r#"10.0.0.9 - - [22/Nov/2026:20:28:43 +0000] "GET /a HTTP/1.1" 200 12 "-" "x" rt=0.734 uct="0.000""#;
        assert_eq!(read(nginx), row(200, Some(734.0), "GET /a"));
        assert_eq!(read("POST /orders 201 812.404 ms - 5"), row(201, Some(812.404), "POST /orders"));
        assert_eq!(
            read(r#"[GIN] 2026/11/22 - 20:28:43 | 200 |  1.5s |  10.0.0.1 | GET      "/slow""#),
            row(200, Some(1500.0), "GET /slow")
        );
        assert_eq!(read("Completed 500 Internal Server Error in 1234ms (ActiveRecord: 3.1ms)"), row(500, Some(1234.0), ""));
        assert_eq!(
            read("method=GET path=/x format=html controller=X action=y status=200 duration=58.33 view=40.43"),
            row(200, Some(58.33), "GET /x")
        );
        assert_eq!(read(r#"10.0.0.1:4 - "GET /x HTTP/1.1" 200 OK 0.731s"#), row(200, Some(731.0), "GET /x"));
    }

    #[test]
    fn json_lines_of_several_loggers_are_read() {
        assert_eq!(
            read(r#"{"level":"info","method":"GET","path":"/orders","status":503,"duration_ms":12.5}"#),
            row(503, Some(12.5), "GET /orders")
        );
        assert_eq!(
            read(r#"{"req":{"method":"GET","url":"/o?q=1"},"res":{"statusCode":200},"responseTime":901}"#),
            row(200, Some(901.0), "GET /o")
        );
        assert_eq!(
            read(r#"{"request_method":"GET","request_uri":"/","status":"200","request_time":"0.601"}"#),
            row(200, Some(601.0), "GET /")
        );
        assert_eq!(
            read(r#"{"response_code":504,"method":"GET","path":"/e","duration":15000}"#),
            row(504, Some(15000.0), "GET /e")
        );
        assert_eq!(read(r#"{"message":"10.0.0.1:4 - \"GET /x HTTP/1.1\" 500","level":"INFO"}"#), row(500, None, "GET /x"));
        assert_eq!(parse(r#"{"status":"ok","message":"started 3 workers"}"#), None);
    }

    #[test]
    fn slow_request_lines_have_no_status() {
        let found = parse("WARNING slow request: GET /report took 2345 ms").expect("a request");
        assert_eq!((found.status, found.millis, found.what.as_str()), (None, Some(2345.0), "GET /report"));
        assert_eq!(parse("slow request handling is enabled for 3 routes"), None);
        assert_eq!(parse("connected to 10.0.0.1:5432 in 12 ms"), None);
    }

    #[test]
    fn probes_and_scrapers_are_told_apart() {
        for line in [
            r#"INFO:     10.88.0.1:45282 - "GET /ready HTTP/1.1" 503 Service Unavailable"#,
            r#"10.0.0.1 - - [x] "GET / HTTP/1.1" 503 2 "-" "kube-probe/1.36""#,
            r#"10.0.0.1 - - [x] "GET /api/v1/health/db HTTP/1.1" 503 2 "-" "-""#,
        ] {
            assert!(parse(line).expect("a request").is_check, "{line}");
        }
        assert!(!parse(r#"10.0.0.1:4 - "GET /orders HTTP/1.1" 500"#).expect("a request").is_check);
        assert!(!is_check_path("/shipping") && !is_check_path("/livestock"));
    }
}
