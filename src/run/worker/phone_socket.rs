//! Reading a phone's sockets: at its session's tick, never between.

use std::time::Duration;

use super::entry::PhoneLink;
use super::machine::STAMP_AGE_MAX;
use crate::meeting::session::Session;
use crate::meeting::track::SeatId;
use crate::net::batch::ReceiveRing;
use crate::run::clock::{self, StampAnchor};
use crate::telemetry::metric::media::MediaMetrics;

/// Every so many ticks the phones' RTCP sockets are looked at.
const RTCP_EVERY_TICKS: u64 = 5;

/// Batches taken from one phone's socket per tick: 32 packets are ten times what it should send;
/// a flood waits in, and is cut by, the kernel's buffer.
const PHONE_BATCHES_MAX: usize = 2;

/// Takes what a phone has sent since its last tick; a packet's arrival is the kernel's stamp.
pub(super) fn drain_phone(
    ring: &mut ReceiveRing,
    metrics: &MediaMetrics,
    session: &mut Session,
    seat: SeatId,
    link: &PhoneLink,
    wallclock: Duration,
    tick: u64,
) {
    for _ in 0..PHONE_BATCHES_MAX {
        let (count, more) = ring.receive(&link.sockets.rtp).unwrap_or((0, false));
        let anchor = StampAnchor::read();
        metrics.datagrams.phones_received.inc_by(count as u64);
        for packet in (0..count).filter_map(|index| ring.packet(index)) {
            let stamp = packet.stamp_ns;
            let arrival = stamp.map_or(anchor.now(), |ns| anchor.place(ns, STAMP_AGE_MAX));
            let taken =
                session.handle_phone_rtp(arrival, wallclock, seat, packet.from, packet.bytes);
            if let Err(reason) = taken {
                metrics.discarded.of(reason).inc();
            }
        }
        if !more {
            break;
        }
    }
    if !tick.is_multiple_of(RTCP_EVERY_TICKS) {
        return;
    }
    let (count, _) = ring.receive(&link.sockets.rtcp).unwrap_or((0, false));
    let now = clock::now();
    metrics.datagrams.phones_received.inc_by(count as u64);
    for packet in (0..count).filter_map(|index| ring.packet(index)) {
        let taken = session.handle_phone_rtcp(now, wallclock, seat, packet.from, packet.bytes);
        if let Err(reason) = taken {
            metrics.discarded.of(reason).inc();
        }
    }
}
