//! In which encoding bodies come: protobuf where the kind has it and the server speaks it, else JSON.
//!
//! The server chooses, its `Content-Type` tells. Invariant: whatever it chose, the same rows come out (`tests/suite/protobuf.rs`).

use super::items::{ListMeta, NotAList, Splitter};
use super::lines::{self, Lines, WatchEvent};
use crate::kinds::{Encoded, Kind, Pool};
use crate::protobuf::{Frames, Items, Message};

/// What a feed asks for: `list` and `watch` for the `Accept` header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accept {
    pub(super) list: &'static str,
    pub(super) watch: &'static str,
    /// What a body in protobuf is made of; none when only JSON is asked for.
    pub(super) message: Option<&'static Message>,
}

impl Accept {
    /// What to ask for of a kind; `plain` for JSON only.
    pub(super) fn of<R: Kind>(plain: bool) -> Self {
        let message = R::message().filter(|_| !plain);
        let (list, watch) = match (R::INFO.metadata_only, message.is_some()) {
            (false, false) => (JSON, JSON),
            (false, true) => (PROTOBUF, PROTOBUF),
            (true, false) => (METADATA_LIST, METADATA),
            (true, true) => (PROTOBUF_METADATA_LIST, PROTOBUF_METADATA),
        };
        Self { list, watch, message }
    }
}

const JSON: &str = crate::cluster::http::JSON;
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf,application/json";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PROTOBUF_METADATA_LIST: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,\
                                      application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const PROTOBUF_METADATA: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,\
                                 application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// The body of a list, cut into its items.
#[derive(Debug)]
pub(super) enum ListBody {
    Json(Splitter),
    Protobuf(&'static Message, Items),
}

impl ListBody {
    /// For a body that is protobuf of `message`, or JSON.
    pub(super) fn new<R: Kind>(message: Option<&'static Message>) -> Self {
        match message {
            Some(message) => Self::Protobuf(message, Items::default()),
            None if R::INFO.keeps_writers => Self::Json(Splitter::new()),
            None => Self::Json(Splitter::without_managed_fields()),
        }
    }

    /// Takes the next chunk and hands out each item that is complete.
    pub(super) fn feed(&mut self, chunk: &[u8], item: &mut impl FnMut(Encoded<'_>)) -> Result<(), NotAList> {
        match self {
            Self::Json(splitter) => splitter.feed(chunk, &mut |json| item(Encoded::Json(json))),
            Self::Protobuf(message, items) => {
                items.feed(chunk, &mut |bytes| item(Encoded::Protobuf(message, bytes))).map_err(|not| NotAList(not.0))
            }
        }
    }

    /// `metadata` once it has passed.
    pub(super) fn meta(&self) -> Option<ListMeta> {
        match self {
            Self::Json(splitter) => splitter.meta().cloned(),
            Self::Protobuf(_, items) => items.head().cloned().map(ListMeta::from),
        }
    }

    /// `metadata` at the end.
    pub(super) fn finish(self) -> Result<ListMeta, NotAList> {
        match self {
            Self::Json(splitter) => splitter.finish(),
            Self::Protobuf(_, items) => items.finish().map(ListMeta::from).map_err(|not| NotAList(not.0)),
        }
    }
}

/// The body of a watch, cut into its events.
#[derive(Debug)]
pub(super) enum WatchBody {
    Json(Lines),
    Protobuf(&'static Message, Frames),
}

/// What was read of a watch: an event, an object that could not be decoded, or garbage and what is wrong with it.
pub(super) type Read<R> = Result<Option<WatchEvent<R>>, String>;

impl WatchBody {
    /// For a body that is protobuf of `message`, or JSON.
    pub(super) fn new(message: Option<&'static Message>) -> Self {
        message.map_or_else(|| Self::Json(Lines::default()), |message| Self::Protobuf(message, Frames::default()))
    }

    /// True when the body so far ends in the middle of an event.
    pub(super) fn is_inside_an_event(&self) -> bool {
        match self {
            Self::Json(lines) => lines.is_inside_a_line(),
            Self::Protobuf(_, frames) => frames.is_inside_a_frame(),
        }
    }

    /// Takes the next chunk and hands out what each complete event says.
    pub(super) fn feed<R: Kind>(
        &mut self,
        chunk: &[u8],
        pool: &Pool,
        event: &mut impl FnMut(Read<R>),
    ) -> Result<(), &'static str> {
        match self {
            Self::Json(lines) => {
                let mut line = |line: &[u8]| {
                    let where_ = |error: serde_json::Error| {
                        format!("not the expected JSON at line {} column {}", error.line(), error.column())
                    };
                    event(lines::decode(line, pool).map_err(where_));
                };
                lines.feed(chunk, &mut line).map_err(|_| "a line without end")
            }
            Self::Protobuf(message, frames) => {
                let mut frame = |frame: &[u8]| event(lines::decode_frame(message, frame, pool).map_err(|not| not.0.to_owned()));
                frames.feed(chunk, &mut frame).map_err(|not| not.0)
            }
        }
    }
}
