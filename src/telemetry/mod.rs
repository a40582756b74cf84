//! What happens is a struct: log lines and metrics come from it.

pub mod metric;
