//! What somebody wrote for a key, and where.

use std::fmt;

/// Where a value comes from; what an error names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody set it.
    Default,
    /// A line of a file.
    File {
        /// As it was named on the command line.
        file: String,
        /// From 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag, as it was written.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A value before its key was asked what it takes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Raw {
    /// From a variable or a flag, which have no types: read as the key wants it. Lists are separated by commas.
    Words(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML boolean.
    Bool(bool),
    /// A TOML list of strings.
    List(Vec<String>),
    /// Anything else of TOML, by the name of its type; no key takes one.
    Other(&'static str),
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(text) | Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::List(items) => write!(f, "{items:?}"),
            Self::Other(name) => write!(f, "a TOML {name}"),
        }
    }
}

/// A value with its origin.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Given {
    /// As written.
    pub(crate) raw: Raw,
    /// By whom.
    pub(crate) origin: Origin,
}
