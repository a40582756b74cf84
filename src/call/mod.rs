//! One phone call's life, from the first authorised INVITE to its end. The only module that speaks
//! both SIP and meetings (invariant A3).
//!
//! [`machine::Call`] decides; the shell looks meetings up, reserves ports, joins legs and sends
//! what the machine says.

pub mod caller;
pub mod end;

pub mod machine;
pub mod record;
pub mod trace;
