//! The environment's layer: `WHIMBREL_SECTION__NAME`, in capitals, with two underscores between section and name.
//!
//! Two underscores, because one would not tell `master_key.file` from `master.key_file`; and because Kubernetes sets
//! variables such as `WHIMBREL_PORT` for a service called "whimbrel", which are none of ours. What has two is ours
//! and must be known; what has one and would be a key with two is a slip, and named.

use super::value::{Given, Origin, Raw};

const PREFIX: &str = "WHIMBREL_";

/// The variable that sets this key.
pub(crate) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// The keys that these variables set.
pub(crate) fn read(variables: &[(String, String)]) -> Vec<(String, Given)> {
    variables
        .iter()
        .filter_map(|(name, value)| {
            let (section, key) = name.strip_prefix(PREFIX)?.split_once("__")?;
            let key = format!("{}.{}", section.to_lowercase(), key.to_lowercase());
            let given = Given { raw: Raw::Words(value.clone()), origin: Origin::Variable(name.clone()) };
            Some((key, given))
        })
        .collect()
}

/// Sentences about variables that were meant for `known` keys and lack an underscore.
pub(crate) fn slips<'a>(variables: &[(String, String)], known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let meant: Vec<String> = known.map(variable).collect();
    let squeezed: Vec<String> = meant.iter().map(|name| name.replacen("__", "_", 1)).collect();
    variables
        .iter()
        .filter_map(|(name, _)| {
            let key = squeezed.iter().position(|squeezed| squeezed == name)?;
            Some(format!("Environment variable {name} sets nothing; did you mean {}?", meant[key]))
        })
        .collect()
}
