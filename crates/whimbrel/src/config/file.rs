//! The TOML layer: a file of `[section]`s with `key = value` lines, each value with its line.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::value::{Given, Origin, Raw};

/// Reads a file into (key, value) pairs in no particular order; keys are `section.name`. An error is a sentence.
pub(crate) fn read(path: &Path) -> Result<Vec<(String, Given)>, String> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{file} cannot be read: {error}."))?;
    parse(&file, &text)
}

/// As [`read`], from the text of a file of this name.
pub(crate) fn parse(file: &str, text: &str) -> Result<Vec<(String, Given)>, String> {
    let line = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(1, |span| line(span.start));
        format!("{file}:{at} is not TOML: {}.", error.message().trim_end_matches('.'))
    })?;
    let mut found = Vec::new();
    for (section, value) in table.get_ref() {
        let section_name = section.get_ref();
        let Some(entries) = value.get_ref().as_table() else {
            let at = line(value.span().start);
            return Err(format!(
                "{file}:{at} sets {section_name} outside of a section; every key belongs to one, such as [clients]."
            ));
        };
        for (name, value) in entries {
            let origin = Origin::File { file: file.to_owned(), line: line(value.span().start) };
            found.push((format!("{section_name}.{}", name.get_ref()), Given { raw: raw(value.get_ref()), origin }));
        }
    }
    Ok(found)
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Boolean(value) => Raw::Bool(*value),
        DeValue::Integer(number) => i64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
            .map_or(Raw::Other("integer out of range"), Raw::Integer),
        DeValue::Array(items) => {
            let texts: Option<Vec<_>> = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect();
            texts.map_or(Raw::Other("list of other things than texts"), Raw::List)
        }
        other => Raw::Other(other.type_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line() {
        let found = parse("w.toml", "[a]\nx = 1_000\n\n[b]\ny = \"z\"\nz = 0x10\n").expect("it is TOML");
        let lines: Vec<_> = found.iter().map(|(key, given)| format!("{key} {} {}", given.raw, given.origin)).collect();
        assert_eq!(lines, ["a.x 1000 w.toml:2", "b.y \"z\" w.toml:5", "b.z 16 w.toml:6"]);
    }

    #[test]
    fn what_is_no_toml_or_in_no_section_is_named_with_its_line() {
        let error = parse("w.toml", "[a]\nx = = 1\n").expect_err("it is no TOML");
        assert!(error.starts_with("w.toml:2 is not TOML: "), "{error}");
        let error = parse("w.toml", "listen = \"x\"\n").expect_err("it is in no section");
        assert!(error.starts_with("w.toml:1 sets listen outside of a section"), "{error}");
    }
}
