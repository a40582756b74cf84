//! RTP and RTCP (RFC 3550) for phone legs, and the jitter buffer all inputs share.
