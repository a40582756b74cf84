//! RTCP sender and receiver reports (RFC 3550 §6): built, parsed, and what they tell.
//!
//! Every length is checked before use: short RTCP once moved media of other people's calls
//! (AST-2017-008). Nothing in RTCP ever moves the latch or ends a call here.

use std::time::{Duration, Instant};

use super::discard::Discard;
use super::egress::EgressStream;
use super::reception::{Reception, ReceptionBlock};

const TYPE_SR: u8 = 200;
const TYPE_RR: u8 = 201;
const TYPE_SDES: u8 = 202;
const TYPE_BYE: u8 = 203;
const HEADER_BYTES: usize = 8;
const SENDER_BYTES: usize = 20;
const BLOCK_BYTES: usize = 24;

/// Longest canonical name we send.
const CNAME_BYTES_MAX: usize = 64;

/// Octets that are enough for every compound packet built here.
pub const REPORT_BYTES_MAX: usize =
    HEADER_BYTES + SENDER_BYTES + BLOCK_BYTES + HEADER_BYTES + 2 + CNAME_BYTES_MAX + 4 + 8;

/// Round trips above this are clocks gone wrong, not networks.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

/// One report block as received (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    /// Figures.
    pub reception: ReceptionBlock,
    /// Middle 32 bits of the NTP time of the last SR its sender got; 0: none yet.
    pub last_sender_report: u32,
    /// Since that SR, in 1/65536 s.
    pub delay_since: u32,
}

/// What one leg's RTCP has told and will tell.
#[derive(Debug, Clone)]
pub struct RtcpSession {
    ssrc: u32,
    cname: String,
    /// Middle NTP bits of the peer's last SR and when it came.
    last_sender_report: Option<(u32, Instant)>,
    remote_fraction_lost: Option<u8>,
    remote_cumulative_lost: i32,
    remote_jitter: u32,
    round_trip: Option<Duration>,
    reports_received: u64,
}

impl RtcpSession {
    /// A session of our stream `ssrc`. `cname` (RFC 3550 §6.5.1) should tell nothing about the
    /// host (RFC 7022) and is cut at 64 octets.
    pub fn new(ssrc: u32, cname: &str) -> Self {
        let mut end = cname.len().min(CNAME_BYTES_MAX);
        while !cname.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            ssrc,
            cname: cname[..end].to_owned(),
            last_sender_report: None,
            remote_fraction_lost: None,
            remote_cumulative_lost: 0,
            remote_jitter: 0,
            round_trip: None,
            reports_received: 0,
        }
    }

    /// Writes SR (RR while we have sent nothing) and SDES into `buffer`; returns the length in
    /// octets. `ntp` is the wall clock now in NTP format (32.32 bits since 1900), which stands
    /// beside `egress.timestamp()` in the report.
    ///
    /// # Panics
    /// If `buffer` is shorter than [`REPORT_BYTES_MAX`].
    pub fn write_report(
        &mut self,
        now: Instant,
        ntp: u64,
        egress: &EgressStream,
        reception: &mut Reception,
        buffer: &mut [u8],
    ) -> usize {
        let mut writer = Writer { buffer, length: 0 };
        let block = reception.next_block();
        let count = u8::from(block.is_some());
        let start = writer.length;
        if egress.packets_sent() > 0 {
            writer.header(count, TYPE_SR, self.ssrc);
            writer.put(&ntp.to_be_bytes());
            writer.put(&egress.timestamp().to_be_bytes());
            writer.put(&egress.packets_sent().to_be_bytes());
            writer.put(&egress.octets_sent().to_be_bytes());
        } else {
            writer.header(count, TYPE_RR, self.ssrc);
        }
        if let Some(block) = block {
            let (last, delay) = self.last_sender_report.map_or((0, 0), |(last, arrival)| {
                let delay = now.saturating_duration_since(arrival);
                (last, (delay.as_secs_f64() * 65_536.0) as u32)
            });
            writer.block(&ReportBlock {
                reception: block,
                last_sender_report: last,
                delay_since: delay,
            });
        }
        writer.finish(start);
        self.write_source_description(&mut writer);
        writer.length
    }

    /// Writes an empty RR, SDES and BYE: the leg ends (RFC 3550 §6.6).
    ///
    /// # Panics
    /// If `buffer` is shorter than [`REPORT_BYTES_MAX`].
    pub fn write_goodbye(&self, buffer: &mut [u8]) -> usize {
        let mut writer = Writer { buffer, length: 0 };
        let start = writer.length;
        writer.header(0, TYPE_RR, self.ssrc);
        writer.finish(start);
        self.write_source_description(&mut writer);
        let start = writer.length;
        writer.header(1, TYPE_BYE, self.ssrc);
        writer.finish(start);
        writer.length
    }

    fn write_source_description(&self, writer: &mut Writer<'_>) {
        let start = writer.length;
        writer.header(1, TYPE_SDES, self.ssrc);
        writer.put(&[1, self.cname.len() as u8]);
        writer.put(self.cname.as_bytes());
        // The list ends with at least one zero octet, on a 32-bit boundary.
        writer.put(&[0, 0, 0, 0][..4 - (writer.length - start) % 4]);
        writer.finish(start);
    }

    /// Takes one datagram of RTCP; `ntp` is the wall clock at its arrival, in NTP format.
    ///
    /// # Errors
    /// [`Discard::Malformed`] if any length does not add up; nothing of it is used then.
    pub fn handle_datagram(
        &mut self,
        arrival: Instant,
        ntp: u64,
        datagram: &[u8],
    ) -> Result<RtcpSeen, Discard> {
        let mut seen = RtcpSeen::default();
        for packet in Packets::new(datagram) {
            let packet = packet?;
            match packet.kind {
                TYPE_SR | TYPE_RR => packet.check_report()?,
                TYPE_BYE if packet.body.len() < 4 * usize::from(packet.count) => {
                    return Err(Discard::Malformed);
                }
                _ => {}
            }
        }
        for packet in Packets::new(datagram).flatten() {
            match packet.kind {
                TYPE_SR => {
                    let ntp_of_peer = read_u64(packet.body, 4);
                    self.last_sender_report = Some(((ntp_of_peer >> 16) as u32, arrival));
                    seen.sender_report = true;
                }
                TYPE_BYE => seen.goodbye = true,
                _ => {}
            }
            for block in packet.blocks() {
                if block.reception.ssrc == self.ssrc {
                    self.handle_block(ntp, &block);
                    seen.about_us = true;
                }
            }
        }
        self.reports_received += 1;
        Ok(seen)
    }

    fn handle_block(&mut self, ntp: u64, block: &ReportBlock) {
        self.remote_fraction_lost = Some(block.reception.fraction_lost);
        self.remote_cumulative_lost = block.reception.cumulative_lost;
        self.remote_jitter = block.reception.jitter;
        if block.last_sender_report == 0 {
            return;
        }
        let now = (ntp >> 16) as u32;
        let trip = now
            .wrapping_sub(block.last_sender_report)
            .wrapping_sub(block.delay_since);
        // Clock steps make it "negative", that is very large.
        let trip = Duration::from_secs_f64(f64::from(trip) / 65_536.0);
        if trip <= ROUND_TRIP_MAX {
            self.round_trip = Some(trip);
        }
    }

    /// What the peer's last report said it lost of ours, 0.0–1.0.
    pub fn remote_loss(&self) -> Option<f32> {
        self.remote_fraction_lost
            .map(|fraction| f32::from(fraction) / 256.0)
    }

    /// Packets of ours the peer lost since the beginning, by its own count.
    pub fn remote_cumulative_lost(&self) -> i32 {
        self.remote_cumulative_lost
    }

    /// Jitter of ours at the peer, in clock units.
    pub fn remote_jitter(&self) -> u32 {
        self.remote_jitter
    }

    /// Round trip by the last report (RFC 3550 §6.4.1).
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Datagrams of RTCP understood.
    pub fn reports_received(&self) -> u64 {
        self.reports_received
    }
}

/// What a datagram of RTCP held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RtcpSeen {
    /// A sender report.
    pub sender_report: bool,
    /// A report block about our stream.
    pub about_us: bool,
    /// A BYE. Noted only: ending calls is SIP's, and RTCP is easy to forge.
    pub goodbye: bool,
}

/// Wall clock in NTP format (32.32 bits since 1900) from the time since the Unix epoch.
pub fn ntp_from_unix(since_epoch: Duration) -> u64 {
    const UNIX_EPOCH_IN_NTP: u64 = 2_208_988_800;
    let fraction = (u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000;
    (since_epoch.as_secs().wrapping_add(UNIX_EPOCH_IN_NTP) << 32) | fraction
}

/// One packet of a compound: `body` begins with the sender's SSRC.
#[derive(Debug, Clone, Copy)]
struct RtcpPacket<'a> {
    count: u8,
    kind: u8,
    body: &'a [u8],
}

impl<'a> RtcpPacket<'a> {
    fn blocks_offset(&self) -> usize {
        match self.kind {
            TYPE_SR => 4 + SENDER_BYTES,
            _ => 4,
        }
    }

    fn check_report(&self) -> Result<(), Discard> {
        let needed = self.blocks_offset() + BLOCK_BYTES * usize::from(self.count);
        match self.body.len() >= needed {
            true => Ok(()),
            false => Err(Discard::Malformed),
        }
    }

    /// Report blocks; none unless it is a report of checked length.
    fn blocks(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        let is_report = matches!(self.kind, TYPE_SR | TYPE_RR);
        let blocks = self.body.get(self.blocks_offset()..).unwrap_or(&[]);
        let count = if is_report {
            usize::from(self.count)
        } else {
            0
        };
        blocks.chunks_exact(BLOCK_BYTES).take(count).map(read_block)
    }
}

fn read_block(block: &[u8]) -> ReportBlock {
    // 24 bits, signed.
    let cumulative_lost = (read_u32(block, 4) << 8) as i32 >> 8;
    ReportBlock {
        reception: ReceptionBlock {
            ssrc: read_u32(block, 0),
            fraction_lost: block[4],
            cumulative_lost,
            highest_sequence: read_u32(block, 8),
            jitter: read_u32(block, 12),
        },
        last_sender_report: read_u32(block, 16),
        delay_since: read_u32(block, 20),
    }
}

/// Packets of a compound datagram; an error ends it.
struct Packets<'a> {
    rest: &'a [u8],
    first: bool,
}

impl<'a> Packets<'a> {
    fn new(datagram: &'a [u8]) -> Self {
        Self {
            rest: datagram,
            first: true,
        }
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<RtcpPacket<'a>, Discard>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() && !self.first {
            return None;
        }
        self.first = false;
        let rest = std::mem::take(&mut self.rest);
        let &[flags, kind, high, low, ..] = rest else {
            return Some(Err(Discard::Malformed));
        };
        let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        if flags >> 6 != 2 || length < HEADER_BYTES && kind != TYPE_BYE || length > rest.len() {
            return Some(Err(Discard::Malformed));
        }
        let (packet, rest) = rest.split_at(length);
        self.rest = rest;
        Some(Ok(RtcpPacket {
            count: flags & 0x1F,
            kind,
            body: &packet[4..],
        }))
    }
}

struct Writer<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.buffer[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn header(&mut self, count: u8, kind: u8, ssrc: u32) {
        self.put(&[0x80 | count, kind, 0, 0]);
        self.put(&ssrc.to_be_bytes());
    }

    fn block(&mut self, block: &ReportBlock) {
        let reception = &block.reception;
        let lost = u32::from(reception.fraction_lost) << 24
            | (reception.cumulative_lost as u32) & 0x00FF_FFFF;
        for word in [
            reception.ssrc,
            lost,
            reception.highest_sequence,
            reception.jitter,
            block.last_sender_report,
            block.delay_since,
        ] {
            self.put(&word.to_be_bytes());
        }
    }

    /// Writes the length field of the packet that began at `start`.
    fn finish(&mut self, start: usize) {
        let words = ((self.length - start) / 4 - 1) as u16;
        self.buffer[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
    }
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn read_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from(read_u32(bytes, at)) << 32 | u64::from(read_u32(bytes, at + 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::packet::Packet;

    struct End {
        rtcp: RtcpSession,
        egress: EgressStream,
        reception: Reception,
    }

    fn end(ssrc: u32) -> End {
        End {
            rtcp: RtcpSession::new(ssrc, "f3a1c0de"),
            egress: EgressStream::new(ssrc, 100, 0, 0, 160),
            reception: Reception::new(8_000),
        }
    }

    /// `from` sends 50 packets, of which `to` misses each tenth.
    fn talk(now: Instant, from: &mut End, to: &mut End) {
        let mut buffer = [0u8; 200];
        for number in 0..50 {
            let length = from.egress.write(&[0; 160], &mut buffer).unwrap();
            let packet = Packet::parse(&buffer[..length]).unwrap();
            if number % 10 != 5 {
                to.reception.handle_packet(now, &packet, false);
            }
        }
    }

    #[test]
    fn two_ends_tell_each_other_loss_and_round_trip() {
        let (mut left, mut right) = (end(1), end(2));
        let start = Instant::now();
        let ntp = ntp_from_unix(Duration::from_secs(1_800_000_000));
        let seconds = |seconds: f64| (seconds * 4_294_967_296.0) as u64;
        talk(start, &mut left, &mut right);
        let mut buffer = [0u8; REPORT_BYTES_MAX];

        let length =
            left.rtcp
                .write_report(start, ntp, &left.egress, &mut left.reception, &mut buffer);
        // 40 ms there; 2 s later the answer takes 60 ms back.
        let there = start + Duration::from_millis(40);
        let seen = right
            .rtcp
            .handle_datagram(there, ntp, &buffer[..length])
            .unwrap();
        assert!(seen.sender_report && !seen.about_us);
        let length = right.rtcp.write_report(
            there + Duration::from_secs(2),
            ntp,
            &right.egress,
            &mut right.reception,
            &mut buffer,
        );
        let seen = left
            .rtcp
            .handle_datagram(start, ntp + seconds(2.1), &buffer[..length])
            .unwrap();
        assert!(seen.about_us && !seen.sender_report);

        assert_eq!(left.rtcp.remote_cumulative_lost(), 5);
        let loss = left.rtcp.remote_loss().unwrap();
        assert!((loss - 0.1).abs() < 0.01, "{loss}");
        let trip = left.rtcp.round_trip().unwrap().as_secs_f64();
        assert!((trip - 0.1).abs() < 0.001, "{trip}");
    }

    #[test]
    fn every_truncation_and_every_lying_length_is_refused() {
        let (mut left, mut right) = (end(1), end(2));
        let now = Instant::now();
        talk(now, &mut left, &mut right);
        talk(now, &mut right, &mut left);
        let mut buffer = [0u8; REPORT_BYTES_MAX];
        let length =
            left.rtcp
                .write_report(now, 7 << 32, &left.egress, &mut left.reception, &mut buffer);
        let whole = &buffer[..length];
        assert!(right.rtcp.handle_datagram(now, 0, whole).is_ok());
        let boundary = 4 * (usize::from(u16::from_be_bytes([whole[2], whole[3]])) + 1);
        for cut in (0..length).filter(|&cut| cut != boundary) {
            let result = right.rtcp.handle_datagram(now, 0, &whole[..cut]);
            assert_eq!(result, Err(Discard::Malformed), "cut at {cut}");
        }
        for count in 2..32 {
            let mut lying = whole.to_vec();
            lying[0] = 0x80 | count;
            assert!(right.rtcp.handle_datagram(now, 0, &lying).is_err());
        }
    }

    #[test]
    fn a_goodbye_is_seen_and_short_ones_are_refused() {
        let mut left = end(1);
        let mut buffer = [0u8; REPORT_BYTES_MAX];
        let length = left.rtcp.write_goodbye(&mut buffer);
        let now = Instant::now();
        let seen = left.rtcp.handle_datagram(now, 0, &buffer[..length]);
        assert!(seen.unwrap().goodbye);
        assert!(
            left.rtcp
                .handle_datagram(now, 0, &[0x81, 203, 0, 0])
                .is_err()
        );
    }

    #[test]
    fn a_negative_cumulative_loss_survives_the_wire() {
        let block = ReportBlock {
            reception: ReceptionBlock {
                ssrc: 9,
                fraction_lost: 255,
                cumulative_lost: -3,
                highest_sequence: 70_000,
                jitter: 12,
            },
            last_sender_report: 1,
            delay_since: 2,
        };
        let mut buffer = [0u8; BLOCK_BYTES];
        let mut writer = Writer {
            buffer: &mut buffer,
            length: 0,
        };
        writer.block(&block);
        assert_eq!(read_block(&buffer), block);
    }
}
