//! When to stop: SIGTERM from a supervisor, SIGINT from a keyboard.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves when the process is asked to end. A signal that cannot be listened to never comes;
/// the other still does.
pub async fn requested() {
    tokio::select! {
        () = next(SignalKind::terminate()) => {}
        () = next(SignalKind::interrupt()) => {}
    }
}

async fn next(kind: SignalKind) {
    match signal(kind) {
        Ok(mut signals) => {
            signals.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}
