//! Keeps the record of a call that has ended: at once, or, where the store refuses it (a full
//! disk), later and for an hour. What is given up at last is said; its log line holds its figures.

use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::{error, warn};

use crate::call::record::CallRecord;
use crate::limits::{
    CALL_RECORD_RETRIES_MAX, CALL_RECORD_RETRY_INTERVAL, CALL_RECORDS_RETRIED_MAX,
};
use crate::run::call_task::CallContext;
use crate::store::{Store, StoreError};
use crate::telemetry::sip_event::CallEnded;

/// Records that are being tried again.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// The last fact of a call.
pub(super) fn ending(record: &CallRecord) -> String {
    let media = record.report.as_ref().map(|report| {
        format!(
            ", {} packets in, {} lost, {} out",
            report.packets_received, report.packets_lost, report.packets_sent
        )
    });
    format!("ended: {}{}", record.reason, media.unwrap_or_default())
}

/// Writes the call's line and its record.
pub(super) async fn keep(context: &CallContext, record: CallRecord) {
    CallEnded { record: &record }.emit(&context.metrics);
    let Err(error) = context.store.record_call(record.clone()).await else {
        return;
    };
    let call = record.id;
    if !is_worth_trying(&error) || !take_seat() {
        error!(%call, %error, "a call record is lost");
        return;
    }
    warn!(%call, %error, "a call record could not be stored and is tried again");
    tokio::spawn(try_again(context.store.clone(), record));
}

async fn try_again(store: Store, record: CallRecord) {
    let call = record.id;
    for _ in 0..CALL_RECORD_RETRIES_MAX {
        tokio::time::sleep(CALL_RECORD_RETRY_INTERVAL).await;
        match store.record_call(record.clone()).await {
            Ok(()) => {
                WAITING.fetch_sub(1, Ordering::Relaxed);
                warn!(%call, "a call record was stored late");
                return;
            }
            Err(error) if is_worth_trying(&error) => {}
            Err(_) => break,
        }
    }
    WAITING.fetch_sub(1, Ordering::Relaxed);
    error!(%call, "a call record is lost");
}

fn is_worth_trying(error: &StoreError) -> bool {
    !matches!(error, StoreError::Closed | StoreError::Conflict(_))
}

fn take_seat() -> bool {
    let more = |waiting: usize| (waiting < CALL_RECORDS_RETRIED_MAX).then_some(waiting + 1);
    WAITING
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        .is_ok()
}
