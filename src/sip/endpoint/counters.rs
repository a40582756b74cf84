//! What an operator counts.

/// Totals since the start, and sizes of the tables now. Read with
/// [`super::Endpoint::counters`]; the shell turns them into metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Well-formed requests received, copies included.
    pub requests: u64,
    /// Well-formed responses received.
    pub responses: u64,
    /// Requests refused for their form.
    pub malformed: u64,
    /// What was not SIP, or a malformed response: swallowed.
    pub noise: u64,
    /// Copies of requests that were answered from their transaction.
    pub retransmissions: u64,
    /// 401 sent.
    pub challenges: u64,
    /// 503 sent: a table was full, or we take no calls.
    pub overloads: u64,
    /// Transactions running now.
    pub transactions: usize,
    /// Dialogs now.
    pub dialogs: usize,
    /// Registered bindings now.
    pub bindings: usize,
}
