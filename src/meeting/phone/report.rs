//! A leg's figures: what its record, the API and the quality curve are made of.

use super::PhoneLeg;
use crate::audio::quality::G711;
use crate::meeting::leg::LegReport;
use crate::meeting::quality::{Counted, DirectionReport};

impl PhoneLeg {
    /// What has been counted until now, to be measured.
    pub(super) fn counted(&self) -> Counted {
        Counted {
            playout: self.playout.stats(),
            jitter: self.reception.jitter(),
            remote_loss: self.rtcp.remote_loss(),
            round_trip: self.rtcp.round_trip(),
            remote_buffer: None,
            packet: self.media.ptime,
            codec: G711,
        }
    }

    /// Figures so far.
    pub fn report(&self) -> LegReport {
        let playout = self.playout.stats();
        let (received, sent) = (self.received_report(), self.sent_report());
        LegReport {
            packets_received: received.packets,
            packets_sent: sent.packets,
            packets_lost: self.reception.packets_lost(),
            packets_discarded: self.discarded,
            jitter_ms: received.jitter_ms.unwrap_or(0.0),
            concealed_ms: playout.concealed_ms,
            remote_loss: sent.loss,
            round_trip_ms: self.rtcp.round_trip().map(|trip| trip.as_secs_f32() * 1e3),
            encoded_ms: self.track.encoded_ticks() * 20,
            received,
            sent,
            curve: self.quality.curve(),
        }
    }

    fn received_report(&self) -> DirectionReport {
        let playout = self.playout.stats();
        let packets = self.reception.packets_received();
        let lost = self.reception.packets_lost();
        let (mos, mos_min) = self.quality.received_mos();
        DirectionReport {
            packets,
            loss: (packets > 0).then(|| lost as f32 / (packets + lost) as f32),
            jitter_ms: (packets > 0).then(|| self.reception.jitter().as_secs_f32() * 1e3),
            buffer_ms: (playout.played_ms > 0).then_some(playout.delay_ms),
            concealed_ms: Some(playout.concealed_ms),
            stretched_ms: Some(playout.stretched_ms + playout.squeezed_ms),
            drift_ppm: Some(playout.drift_ppm).filter(|ppm| *ppm != 0.0),
            mos,
            mos_min,
        }
    }

    fn sent_report(&self) -> DirectionReport {
        let loss = self.rtcp.remote_loss();
        let jitter_ms = self.rtcp.remote_jitter() as f32 * 1e3;
        let clock_rate = self.media.codec.clock_rate_hz() as f32;
        let (mos, mos_min) = self.quality.sent_mos();
        DirectionReport {
            packets: u64::from(self.ear.stream().packets_sent()),
            loss,
            jitter_ms: loss.map(|_| jitter_ms / clock_rate),
            mos,
            mos_min,
            ..DirectionReport::default()
        }
    }
}
