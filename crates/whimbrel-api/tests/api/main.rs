//! The API as its clients meet it: through all layers, on a real store.

mod administration;
mod changes;
mod delays;
mod forms;
mod life;
mod refresh;
mod relations;
mod serving;
mod strangers;
mod support;
