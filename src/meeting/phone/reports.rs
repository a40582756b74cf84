//! A leg's RTCP: what it tells the phone, and where.

use std::net::SocketAddr;
use std::time::Instant;

use super::{EXPECTED_LOSS_PERCENT_MIN, PhoneLeg, REPORT_INTERVAL, RTCP_BYTES_MAX};

impl PhoneLeg {
    /// Writes the RTCP report that is due, if one is.
    pub fn write_report(
        &mut self,
        now: Instant,
        ntp: u64,
        buffer: &mut [u8; RTCP_BYTES_MAX],
    ) -> Option<(SocketAddr, usize)> {
        if now < self.report_at {
            return None;
        }
        self.report_at = now + REPORT_INTERVAL;
        self.quality.measure(now, &self.counted());
        // The connection sends reports of its own.
        if let Some(loss) = self.connection_loss() {
            self.expect_loss(loss);
            return None;
        }
        let length =
            self.rtcp
                .write_report(now, ntp, self.ear.stream(), &mut self.reception, buffer);
        self.expect_loss(self.rtcp.remote_loss().unwrap_or(0.0));
        Some((self.rtcp_destination(), self.protect_rtcp(buffer, length)?))
    }

    /// Writes the RTCP goodbye of a leg that ends.
    pub fn write_goodbye(
        &mut self,
        buffer: &mut [u8; RTCP_BYTES_MAX],
    ) -> Option<(SocketAddr, usize)> {
        let length = self.rtcp.write_goodbye(buffer);
        Some((self.rtcp_destination(), self.protect_rtcp(buffer, length)?))
    }

    fn expect_loss(&mut self, loss: f32) {
        let percent = ((loss * 100.0) as u8).max(EXPECTED_LOSS_PERCENT_MIN);
        self.own.set_expected_loss(percent);
    }

    fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        match &mut self.srtp {
            None => Some(length),
            Some(srtp) => srtp.protect_rtcp(buffer, length),
        }
    }

    /// RTCP leaves from the RTP socket.
    pub fn has_rtcp_mux(&self) -> bool {
        self.media.rtcp_mux
    }

    fn rtcp_destination(&self) -> SocketAddr {
        if self.media.rtcp_mux {
            self.latch.destination()
        } else {
            self.rtcp_remote
        }
    }
}
