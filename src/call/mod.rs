//! One phone call's life, from the first authorised INVITE to its end. The only module that speaks
//! both SIP and meetings (invariant A3).

pub mod record;
