//! When to stop: SIGTERM from a supervisor, SIGINT from a keyboard.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Resolves when the process is asked to end. Listening begins with the call, not with the first
/// poll: what is said while the server is still being built is heard. A signal that cannot be
/// listened to never comes; the other still does. Must be called within a tokio runtime.
pub fn requested() -> impl Future<Output = ()> {
    let terminate = signal(SignalKind::terminate());
    let interrupt = signal(SignalKind::interrupt());
    async {
        tokio::select! {
            () = next(terminate) => {}
            () = next(interrupt) => {}
        }
    }
}

/// Asks to read settings, profiles and certificates again (SIGHUP). Listening begins with the call.
pub struct Hangups(io::Result<Signal>);

impl Hangups {
    /// Must be called within a tokio runtime.
    pub fn listen() -> Self {
        Self(signal(SignalKind::hangup()))
    }

    /// Resolves when the process is asked again.
    pub async fn next(&mut self) {
        match &mut self.0 {
            Ok(signals) => {
                signals.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    }
}

async fn next(signals: io::Result<Signal>) {
    match signals {
        Ok(mut signals) => {
            signals.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}
