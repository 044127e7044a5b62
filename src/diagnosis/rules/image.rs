//! Images that cannot be pulled.

pub mod pull;
pub mod reference;
