//! The one integration test binary: one module an area, so that there is one link.
mod changes;
mod config;
mod practice_sim;
mod rules;
mod snapshot;
mod tidy;
