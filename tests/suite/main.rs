//! The one integration test binary: one module an area, so that there is one link.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::needless_pass_by_value
)]
mod actions;
mod bundle;
mod bundle_layouts;
mod bundle_size;
mod captures;
mod catalogue;
mod changes;
mod cli;
mod config;
mod connect;
mod dead_keys;

mod door;
mod engine;
mod fake_api;
mod flows;
mod incremental;
mod live;
mod live_faults;
mod login;
mod practice_api;
mod practice_capture;
mod practice_conformance;
mod practice_kubectl;
mod practice_sim;
mod printed;
mod protobuf;
mod proxy;
mod report;
mod rules;
mod schema;
mod screens;
mod screenshots;
mod snapshot;
mod tables;
mod tidy;
mod timeline;
mod tls;
mod trace;
mod wild;
