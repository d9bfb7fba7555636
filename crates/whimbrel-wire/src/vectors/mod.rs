//! The golden vectors: files in `vectors/` that hold bytes and what they mean. The values stand here; the tests check
//! that the code writes exactly the files' bytes and reads them back. `WHIMBREL_BLESS=1` rewrites the files, which is
//! right for added vectors only: changed bytes are a broken protocol.

mod bad_input;
mod files;
mod frames;
mod guide;
mod sealing;

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Compares `made` with the file, or writes the file when asked to. Gives what the file holds.
fn golden<T: Serialize + DeserializeOwned>(file: &str, made: &T) -> T {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "vectors", file].iter().collect();
    let made = serde_json::to_string_pretty(made).expect("serializes") + "\n";
    let held = if std::env::var_os("WHIMBREL_BLESS").is_some() {
        std::fs::write(&path, &made).expect("writes the vectors");
        made
    } else {
        let held = std::fs::read_to_string(&path).expect("the vectors are there");
        assert!(held == made, "{file} is not what the code writes; if that is meant, run with WHIMBREL_BLESS=1");
        held
    };
    serde_json::from_str(&held).expect("the vectors parse")
}

/// Whether proto3 leaves the value out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) mod hex {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn encode(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
        let digit = |at| text.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        (0..text.len()).step_by(2).map(digit).collect()
    }

    pub(crate) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(from)?;
        decode(&text).map(Bytes::from).ok_or_else(|| D::Error::custom("not hexadecimal"))
    }
}

/// Lists of 64-bit numbers, each as [`decimal`].
pub(crate) mod decimals {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(numbers: &[u64], to: S) -> Result<S::Ok, S::Error> {
        numbers.iter().map(u64::to_string).collect::<Vec<_>>().serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
        let numbers = Vec::<String>::deserialize(from)?;
        numbers.iter().map(|number| number.parse().map_err(D::Error::custom)).collect()
    }
}

/// 64-bit numbers as decimal strings: JSON readers that know doubles only would round them.
pub(crate) mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&number.to_string())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
