//! What a browser reports of what we send it: loss, jitter and round trip, from its RTCP reports.
//!
//! `rtc` keeps reports to itself and measures no round trip, so its maker of sender reports stands
//! in a wrapper here, which sees our reports leave and the browser's come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rtc::interceptor::{
    Interceptor, Packet, SenderReportBuilder, SenderReportInterceptor, StreamInfo, TaggedPacket,
};
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

/// Reports of one stream remembered until the browser's answer names one: they leave once a second,
/// so three cover every round trip worth the name.
const REPORTS_REMEMBERED: usize = 3;

/// Round trips above this are clocks gone wrong, not networks.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

/// A browser's latest report of what we send it; over all its streams, the worst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Downlink {
    /// Lost since its report before, 0.0–1.0.
    pub loss: f32,
    /// Interarrival jitter (RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// To the browser and back, once measured.
    pub round_trip: Option<Duration>,
    /// Reports so far: tells an old one from a new one.
    pub reports: u32,
}

/// Where the reports are left for the peer. `rtc` owns its interceptors, and has no other way out
/// of them; one thread uses both ends.
#[derive(Debug, Default)]
pub(super) struct DownlinkCell {
    fraction_lost: AtomicU32,
    jitter_us: AtomicU32,
    /// 0: not measured.
    round_trip_us: AtomicU32,
    reports: AtomicU32,
}

impl DownlinkCell {
    /// The latest, once there is one.
    pub(super) fn look(&self) -> Option<Downlink> {
        let of = |value: &AtomicU32| value.load(Ordering::Relaxed);
        let micros = |value: &AtomicU32| Duration::from_micros(u64::from(of(value)));
        let reports = of(&self.reports);
        (reports > 0).then(|| Downlink {
            loss: of(&self.fraction_lost) as f32 / 256.0,
            jitter: micros(&self.jitter_us),
            round_trip: Some(micros(&self.round_trip_us)).filter(|trip| !trip.is_zero()),
            reports,
        })
    }
}

/// See the module.
pub(super) struct Reports {
    inner: SenderReportInterceptor,
    cell: Arc<DownlinkCell>,
    streams: Vec<Stream>,
}

/// One of our streams.
struct Stream {
    ssrc: u32,
    clock_rate_hz: u32,
    /// Middle NTP bits of its latest reports, and when they left; newest first.
    sent: [Option<(u32, Instant)>; REPORTS_REMEMBERED],
}

impl Stream {
    /// RFC 3550 §6.4.1, but by our own clock, not by the wall's.
    fn round_trip(&self, now: Instant, block: &ReceptionReport) -> Option<Duration> {
        let mut sent = self.sent.iter().flatten();
        let (_, left) = sent.find(|(middle, _)| *middle == block.last_sender_report)?;
        let held = Duration::from_secs_f64(f64::from(block.delay) / 65_536.0);
        let trip = now.checked_duration_since(*left)?.saturating_sub(held);
        (trip <= ROUND_TRIP_MAX).then_some(trip)
    }
}

impl Reports {
    pub(super) fn new(cell: Arc<DownlinkCell>) -> Self {
        Self {
            inner: SenderReportBuilder::new().build(),
            cell,
            streams: Vec::new(),
        }
    }

    fn note_sent(&mut self, packet: &TaggedPacket) {
        let Packet::Rtcp(packets) = &packet.message.packet else {
            return;
        };
        for report in packets {
            let Some(report) = report.as_any().downcast_ref::<SenderReport>() else {
                continue;
            };
            let of = |stream: &&mut Stream| stream.ssrc == report.ssrc;
            if let Some(stream) = self.streams.iter_mut().find(of) {
                stream.sent.rotate_right(1);
                stream.sent[0] = Some(((report.ntp_time >> 16) as u32, packet.now));
            }
        }
    }

    fn note_received(&mut self, packet: &TaggedPacket) {
        let Packet::Rtcp(packets) = &packet.message.packet else {
            return;
        };
        for report in packets {
            let any = report.as_any();
            let blocks = match any.downcast_ref::<ReceiverReport>() {
                Some(report) => &report.reports,
                None => match any.downcast_ref::<SenderReport>() {
                    Some(report) => &report.reports,
                    None => continue,
                },
            };
            self.note_blocks(packet.now, blocks);
        }
    }

    fn note_blocks(&mut self, now: Instant, blocks: &[ReceptionReport]) {
        let (mut worst, mut jitter_us) = (None, 0);
        for block in blocks {
            let of = |stream: &&Stream| stream.ssrc == block.ssrc;
            let Some(stream) = self.streams.iter().find(of) else {
                continue;
            };
            worst = worst.max(Some(block.fraction_lost));
            let rate = u64::from(stream.clock_rate_hz.max(1));
            let jitter = u64::from(block.jitter) * 1_000_000 / rate;
            jitter_us = jitter_us.max(u32::try_from(jitter).unwrap_or(u32::MAX));
            if let Some(trip) = stream.round_trip(now, block) {
                let us = trip.as_micros().max(1) as u32;
                self.cell.round_trip_us.store(us, Ordering::Relaxed);
            }
        }
        let Some(worst) = worst else {
            return;
        };
        let cell = &self.cell;
        cell.fraction_lost
            .store(u32::from(worst), Ordering::Relaxed);
        cell.jitter_us.store(jitter_us, Ordering::Relaxed);
        cell.reports.fetch_add(1, Ordering::Relaxed);
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Reports {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        self.note_received(&msg);
        self.inner.handle_read(msg)
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inner.poll_read()
    }

    fn handle_write(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        self.inner.handle_write(msg)
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        let packet = self.inner.poll_write()?;
        self.note_sent(&packet);
        Some(packet)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.inner.handle_timeout(now)
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.inner.poll_timeout()
    }
}

impl Interceptor for Reports {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        self.streams.retain(|stream| stream.ssrc != info.ssrc);
        self.streams.push(Stream {
            ssrc: info.ssrc,
            clock_rate_hz: info.clock_rate,
            sent: Default::default(),
        });
        self.inner.bind_local_stream(info);
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.streams.retain(|stream| stream.ssrc != info.ssrc);
        self.inner.unbind_local_stream(info);
    }

    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        self.inner.bind_remote_stream(info);
    }

    fn unbind_remote_stream(&mut self, info: &StreamInfo) {
        self.inner.unbind_remote_stream(info);
    }
}
