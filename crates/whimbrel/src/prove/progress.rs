//! A progress bar on standard error, for people only: not where that is no terminal, without colours for NO_COLOR.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Redraws of the elapsed time, when nothing else happens.
const TICK: Duration = Duration::from_millis(250);

/// A bar of `len` steps; what it is at stands behind it.
pub(crate) fn bar(len: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(Some(len), ProgressDrawTarget::hidden());
    }
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let template = if plain { "{elapsed:>4} [{bar:30}] {msg}" } else { "{elapsed:>4} [{bar:30.cyan}] {msg}" };
    let style = ProgressStyle::with_template(template).expect("a template without mistakes").progress_chars("=> ");
    let bar = ProgressBar::new(len).with_style(style);
    bar.enable_steady_tick(TICK);
    bar
}
