//! Grouping, suppression and ranking of findings. To be written.
