//! Kubernetes' protobuf: the encoding its own components speak, half the size of JSON, and what is not read costs nothing.
//!
//! [`read`] is a serde deserializer, so one set of row types serves JSON and protobuf alike: a message looks like the JSON object it
//! stands for, under JSON's names. [`write`] is its inverse, for the practice cluster. Both follow the [`Schema`], whose text is
//! `assets/protobuf.txt`. To add a message: its lines there. Custom resources have no protobuf form at all.

mod envelope;
mod read;
mod schema;
mod values;
mod wire;
mod write;

pub use envelope::{
    Frames, Items, ListHead, NotProtobuf, envelope, event_frame, list_envelope, list_item, open_envelope, open_event,
};
pub use read::{Error, TIME, read};
pub use schema::{Message, Schema, schema};
pub use wire::{Malformed, Raw, fields, next, run};
pub use write::write;

/// The media type; what a client accepts and a server answers with.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
