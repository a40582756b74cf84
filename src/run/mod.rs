//! Threads and tasks: media workers, the SIP task, call tasks, the directory, shutdown.

pub mod bans;
pub mod clock;
pub mod directory;
pub mod history;
pub mod route;
pub mod webhook;
pub mod worker;

mod call_news;
mod call_record;
mod call_refusal;
mod call_start;
pub mod call_tap;
pub mod call_task;
pub mod calls;
pub mod registrations;
pub mod shutdown;
mod sip_command;
mod sip_connector;
pub mod sip_listener;
pub mod sip_task;
