//! Log signatures (data in assets/signatures.toml). To be written.
