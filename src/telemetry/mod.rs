//! What happens is a struct: log lines and metrics come from it.
//!
//! | File | Holds |
//! |---|---|
//! | `event` | one struct per thing that happens; `emit()` writes its log line and its metric |
//! | `sip_event` | the same for calls and SIP |
//! | `metric` | the metrics, one struct per area, and their text form for `/metrics` |
//! | `log` | the log's set-up: form, filter, what foreign crates may say |
//! | `pii` | the only way for personal data into a log line |

pub mod event;
pub mod log;
pub mod metric;
pub mod pii;
pub mod sip_event;
