//! What the tests are made of: a server, phones, browsers, and ears.

pub mod aiortc;
pub mod baresip;
pub mod cable;
pub mod chromium;
pub mod http;
pub mod kamailio;
pub mod linphone;
pub mod raw_sip;
pub mod relay;
pub mod server;
pub mod sipp;
pub mod stream_sip;
pub mod tone;
pub mod tool;
pub mod wait;

pub use aiortc::Aiortc;
pub use baresip::Baresip;
pub use cable::Cable;
pub use chromium::{Chromium, Fakes, Page};
pub use server::Server;
