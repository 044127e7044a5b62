//! JSON documents, one after the other, with or without white space between them.

use std::fmt;
use std::io::{BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Budget, Header, Sink};

/// Reads every document of `content` into `sink`. The error is a sentence about the first damage; what came before was taken.
pub fn read(content: &mut dyn Read, budget: &Budget, sink: &mut dyn Sink) -> Result<(), String> {
    let mut documents = serde_json::Deserializer::from_reader(BufReader::with_capacity(32 << 10, content));
    while documents.end().is_err() {
        budget.renew();
        Document { budget, sink }.deserialize(&mut documents).map_err(|error| error.to_string())?;
    }
    Ok(())
}

struct Document<'a> {
    budget: &'a Budget,
    sink: &'a mut dyn Sink,
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut header = Header::default();
        let mut rest = Map::new();
        let mut is_list = false;
        while let Some(field) = map.next_key::<String>()? {
            if field == "items" {
                is_list = true;
                let items = Items { header: &header, budget: self.budget, sink: self.sink };
                if let Some(value) = map.next_value_seed(items)? {
                    rest.insert(field, value);
                    is_list = false;
                }
                continue;
            }
            let value: Value = map.next_value()?;
            header.take(&field, &value);
            rest.insert(field, value);
        }
        if is_list {
            self.sink.list(&header);
        } else {
            self.sink.single(Value::Object(rest));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        let header = Header::default();
        Items { header: &header, budget: self.budget, sink: self.sink }.visit_seq(seq)?;
        self.sink.list(&header);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// The field `items`: gives back a value only when it is neither a list nor null.
struct Items<'a> {
    header: &'a Header,
    budget: &'a Budget,
    sink: &'a mut dyn Sink,
}

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        self.budget.renew();
        while let Some(item) = seq.next_element::<Value>()? {
            self.sink.item(self.header, item);
            self.budget.renew();
        }
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        serde::Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Some)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Value::from(text)))
    }
}
