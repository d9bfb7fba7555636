//! Compiles the client protocol into Rust types, without protoc.

use std::error::Error;

use prost_build::Config;

/// `FieldDescriptorProto.Type` of the fields that JSON has no type for.
const TYPE_UINT64: i32 = 4;
const TYPE_BYTES: i32 = 12;
/// `FieldDescriptorProto.Label` of lists.
const LABEL_REPEATED: i32 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let root = "../../proto";
    let file = format!("{root}/whimbrel/client/v1/client.proto");
    println!("cargo:rerun-if-changed={file}");
    let descriptors = protox::compile([&file], [root])?;

    let mut config = Config::new();
    // Bodies are `Bytes`: decoding slices them out of the frame instead of copying them.
    config.bytes(["."]);

    // The golden vectors spell out what their bytes mean, as JSON; only this crate's own tests are compiled with it.
    let json = |attribute: &str| format!("#[cfg_attr(test, {attribute})]");
    let derive = "derive(serde::Serialize, serde::Deserialize), serde(rename_all = \"snake_case\")";
    config.message_attribute(".", json(derive));
    config.message_attribute(".", json("serde(default, deny_unknown_fields)"));
    config.enum_attribute(".", json(derive));
    for message in descriptors.file.iter().flat_map(|file| &file.message_type) {
        let path = |name: &str| format!(".whimbrel.client.v1.{}.{name}", message.name());
        let left_out = "skip_serializing_if = \"crate::vectors::is_default\"";
        for field in message.field.iter().filter(|field| field.oneof_index.is_none()) {
            let with = match (field.r#type, field.label) {
                (Some(TYPE_UINT64), Some(LABEL_REPEATED)) => ", with = \"crate::vectors::decimals\"",
                (_, Some(LABEL_REPEATED)) => "",
                (Some(TYPE_UINT64), _) => ", with = \"crate::vectors::decimal\"",
                (Some(TYPE_BYTES), _) => ", with = \"crate::vectors::hex\"",
                _ => "",
            };
            config.field_attribute(path(field.name()), json(&format!("serde({left_out}{with})")));
        }
    }
    let with = json("serde(with = \"crate::vectors::hex\")");
    config.field_attribute(".whimbrel.client.v1.SignalBody.what.custom", with);
    config.compile_fds(descriptors)?;
    Ok(())
}
