//! The pictures of the README are what the program draws.

use std::path::Path;

use k3am::shell::screenshots::{PICTURES, RECORDING, render_all};

#[test]
fn the_pictures_show_what_the_program_draws_today() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rendered = render_all(&root.join(RECORDING)).unwrap();
    assert!(rendered.len() >= 5);
    for (file, content) in rendered {
        let kept = std::fs::read_to_string(root.join(PICTURES).join(file)).unwrap_or_default();
        assert!(kept == content, "screenshots/{file} is stale: run `cargo run --release -- screenshots` and commit it");
    }
}

#[test]
fn the_pictures_need_nothing_from_outside() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, content) in render_all(&root.join(RECORDING)).unwrap() {
        let links = content.replace("http://www.w3.org/2000/svg", "");
        assert!(!links.contains("http://") && !links.contains("href") && !links.contains("@import"), "{file}");
        assert!(["fastapi-deployment", "orders-api"].iter().any(|name| content.contains(name)), "{file} shows no incident");
    }
}
