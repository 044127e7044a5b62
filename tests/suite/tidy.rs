//! The repository's own rules, checked: import directions, file length, module docs, no stray escapes from the lint wall.
//! (Missing docs on `pub` items are the compiler's `missing_docs`, denied by the gate.)

use std::fs;
use std::path::{Path, PathBuf};

/// Most lines a source file may have, inline tests excluded (`style.md` 1.1).
const LONGEST_FILE: usize = 500;

/// Which of our own modules a module may import. `*` is everything. The order is the data flow of `src/lib.rs`.
const ALLOWED: &[(&str, &[&str])] = &[
    ("text", &[]),
    ("protobuf", &[]),
    ("kinds", &["text", "protobuf"]),
    ("snapshot", &["text", "kinds"]),
    ("changes", &["text", "kinds", "snapshot"]),
    ("actions", &["text", "kinds", "snapshot", "changes"]),
    ("diagnosis", &["text", "kinds", "snapshot", "changes", "actions"]),
    ("config", &["text"]),
    ("report", &["text", "kinds", "snapshot", "changes", "actions", "diagnosis"]),
    ("app", &["text", "kinds", "snapshot", "changes", "actions", "diagnosis", "config", "report"]),
    ("ui", &["text", "kinds", "snapshot", "changes", "actions", "diagnosis", "config", "report", "app"]),
    ("cluster", &["text", "protobuf", "kinds", "snapshot", "actions", "changes"]),
    ("source", &["text", "kinds", "snapshot", "diagnosis", "cluster"]),
    ("practice", &["protobuf"]),
    ("cli", &["text", "diagnosis"]),
    ("shell", &["*"]),
    ("commands", &["*"]),
    ("main", &["*"]),
    ("lib", &["*"]),
];

pub(crate) fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// `src/diagnosis/rules/image.rs` → `diagnosis`.
fn module_of(path: &Path) -> String {
    let relative = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    relative.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The file without its inline test module, which may look anywhere.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod ").map_or(text, |at| &text[..at])
}

fn imported_modules(text: &str) -> Vec<String> {
    let crate_path = regex::Regex::new(r"\bcrate::(?:\{([^}]*)\}|([a-z_]+))").unwrap();
    without_tests(text)
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| {
            crate_path.captures_iter(line).map(|c| c.get(1).or(c.get(2)).unwrap().as_str().to_owned()).collect::<Vec<_>>()
        })
        .flat_map(|names| {
            names.split(',').map(|n| n.trim().split("::").next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        })
        .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .collect()
}

#[test]
fn modules_import_only_what_the_architecture_allows() {
    let known: Vec<&str> = ALLOWED.iter().map(|(module, _)| *module).collect();
    let mut wrong = Vec::new();
    for path in sources() {
        let module = module_of(&path);
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{}: module `{module}` is not in ALLOWED (tests/suite/tidy.rs)", path.display()));
            continue;
        };
        if allowed.contains(&"*") {
            continue;
        }
        for import in imported_modules(&fs::read_to_string(&path).unwrap()) {
            if known.contains(&import.as_str()) && import != module && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{}: `{module}` must not import `{import}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Crates that only one module may use: network, terminal.
#[test]
fn the_network_and_the_terminal_have_one_user_each() {
    let only: &[(&str, &[&str])] = &[
        ("kube::", &["cluster"]),
        ("k8s_openapi::", &["cluster"]),
        ("axum::", &["practice"]),
        ("crossterm::terminal", &["shell"]),
        ("crossterm::execute", &["shell"]),
    ];
    let mut wrong = Vec::new();
    for path in sources() {
        let module = module_of(&path);
        let text = fs::read_to_string(&path).unwrap();
        for (krate, users) in only {
            let uses = without_tests(&text).lines().any(|line| {
                let line = line.trim_start();
                !line.starts_with("//")
                    && line
                        .match_indices(krate)
                        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
            });
            if uses && !users.contains(&module.as_str()) {
                wrong.push(format!("{}: only {users:?} may use `{krate}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The pure core reads no clock: time is passed in.
#[test]
fn the_core_reads_no_clock() {
    let core = ["text", "kinds", "snapshot", "changes", "actions", "diagnosis", "config", "report", "app", "ui"];
    let mut wrong = Vec::new();
    for path in sources().into_iter().filter(|p| core.contains(&module_of(p).as_str())) {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in without_tests(&text).lines().enumerate() {
            let code = line.trim_start();
            if !code.starts_with("//")
                && (code.contains("Utc::now(") || code.contains("Instant::now(") || code.contains("SystemTime::now("))
            {
                wrong.push(format!("{}:{}: {code}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "the core must take the time as an argument:\n{}", wrong.join("\n"));
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let long: Vec<String> = sources()
        .into_iter()
        .filter_map(|path| {
            let lines = without_tests(&fs::read_to_string(&path).unwrap()).lines().count();
            (lines > LONGEST_FILE).then(|| format!("{}: {lines} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "files over {LONGEST_FILE} lines (split by idea):\n{}", long.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//!"))
        .map(|path| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "modules without a `//!` head:\n{}", silent.join("\n"));
}

#[test]
fn modules_are_files_beside_folders_never_mod_rs() {
    let wrong: Vec<PathBuf> = sources().into_iter().filter(|path| path.ends_with("mod.rs")).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn nothing_is_left_to_do_in_the_code() {
    let marks = ["todo!(", "unimplemented!(", "dbg!(", "FIXME", "XXX"];
    let mut left = Vec::new();
    for path in sources() {
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                left.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(left.is_empty(), "{}", left.join("\n"));
}
