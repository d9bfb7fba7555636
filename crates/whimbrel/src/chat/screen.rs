//! The full screen: keys and events in, frames out. The terminal is put back on every way out, panics and signals
//! included.

use std::io::stdout;
use std::time::Duration;

use anyhow::Context;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::execute;
use tokio::sync::mpsc;
use whimbrel_client::{Client, Event, Events};

use super::app::{App, Effect, Happened};
use super::deeds::Deeds;
use super::keys;
use super::now_ms;
use super::view::{self, Look};
use crate::house::signal;

/// Keys that are not taken yet; a person cannot type more in between, and a paste waits.
const QUEUE: usize = 256;
/// Events that are taken before the next frame is drawn.
const EVENTS_A_FRAME: usize = 4096;
/// How long the keyboard is waited for before looking whether the program ends.
const KEYBOARD_WAIT: Duration = Duration::from_millis(100);
/// The exit code of a process that panicked, as the standard library has it.
const PANICKED: i32 = 101;

/// Runs until the person quits.
pub(super) async fn run(client: &Client, events: Events, handle: String) -> anyhow::Result<()> {
    // The terminal's own hook runs first and puts it back.
    std::panic::set_hook(Box::new(|info| {
        let _ = execute!(stdout(), DisableBracketedPaste);
        eprintln!("A bug, and the end: {info}");
        std::process::exit(PANICKED);
    }));
    let mut terminal = ratatui::try_init().context("cannot use this terminal; --plain prints lines instead")?;
    let _ = execute!(stdout(), EnableBracketedPaste);
    let mut deeds = Deeds::new(client);
    let app = App::new(client.user(), client.device(), handle);
    let result = converse(&mut terminal, client, events, &mut deeds, app).await;
    let _ = execute!(stdout(), DisableBracketedPaste);
    ratatui::restore();
    deeds.leave().await;
    result
}

async fn converse(
    terminal: &mut DefaultTerminal,
    client: &Client,
    mut events: Events,
    deeds: &mut Deeds,
    mut app: App,
) -> anyhow::Result<()> {
    let stop = signal::stop_token()?;
    let look = Look {
        colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        offset: *chrono::Local::now().offset(),
    };
    let mut keyboard = keyboard();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    app.now = now_ms();
    deeds.push(app.update(Happened::Event(Event::State(client.state()))));
    deeds.push([
        Effect::RefreshConversations,
        Effect::RefreshRequests,
        Effect::RefreshInvitations,
        Effect::RefreshPrivacy,
    ]);
    loop {
        let mut drawn = None;
        terminal.draw(|frame| drawn = Some(view::draw(frame, &app, look))).context("cannot draw")?;
        if let Some(drawn) = drawn {
            app.drawn(drawn);
        }
        let happened = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            key = keyboard.recv(), if deeds.has_room() => key.context("the keyboard is gone")?,
            result = deeds.next() => result,
            event = next(&mut events) => Happened::Event(event),
            _ = tick.tick() => Happened::Tick,
        };
        app.now = now_ms();
        let mut effects = app.update(happened);
        // What has come meanwhile is drawn together.
        for _ in 0..EVENTS_A_FRAME {
            let Some(event) = events.try_next() else { break };
            effects.extend(app.update(Happened::Event(event)));
        }
        if effects.contains(&Effect::Quit) {
            return Ok(());
        }
        deeds.push(effects);
    }
}

async fn next(events: &mut Events) -> Event {
    match events.next().await {
        Some(event) => event,
        // Closed for good: the state says why; the person reads it and quits.
        None => std::future::pending().await,
    }
}

/// Keys come from a thread, since reading a terminal blocks.
fn keyboard() -> mpsc::Receiver<Happened> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    std::thread::spawn(move || {
        while !sender.is_closed() {
            let happened = match event::poll(KEYBOARD_WAIT) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(error) => Err(error),
            };
            let happened = match happened {
                Ok(event::Event::Key(key)) => keys::meaning(key).map(Happened::Key),
                Ok(event::Event::Paste(text)) => Some(Happened::Pasted(text)),
                Ok(event::Event::Resize(..)) => Some(Happened::Resized),
                Ok(_) => None,
                Err(_) => return,
            };
            if happened.is_some_and(|happened| sender.blocking_send(happened).is_err()) {
                return;
            }
        }
    });
    receiver
}
