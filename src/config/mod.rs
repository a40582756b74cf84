//! Configuration: what was typed (raw), and what it means (resolved); SIP profiles.
