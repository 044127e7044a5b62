//! Where facts come from: bundles of files, live clusters. Each source yields `snapshot::Delta`s.

pub mod bundle;
pub mod live;
