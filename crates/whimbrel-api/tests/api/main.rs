//! The API as its clients meet it: through all layers, on a real store.

mod administration;
mod changes;
mod delays;
mod file_limits;
mod file_pictures;
mod file_proofs;
mod files;
mod forms;
mod group_races;
mod group_refusals;
mod group_rights;
mod groups;
mod history;
mod life;
mod presence;
mod refresh;
mod relations;
mod search;
mod serving;
mod settings;
mod strangers;
mod support;
