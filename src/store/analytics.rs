//! What an organisation used, day by day, from the history of its sessions.

use rusqlite::params;
use time::OffsetDateTime;

use super::{Store, StoreError, row};
use crate::id::OrganizationId;
use crate::telemetry::metric::store::Operation;

/// One day in UTC; a stay counts for the day it began.
#[derive(Debug, Clone, PartialEq)]
pub struct Day {
    /// `YYYY-MM-DD`.
    pub date: String,
    /// Sessions that somebody joined.
    pub sessions: u64,
    /// Stays, phones' too.
    pub participants: u64,
    /// Their minutes; of those who are still there until now.
    pub minutes: f64,
    /// Phones' stays.
    pub phone_participants: u64,
    /// Their minutes.
    pub phone_minutes: f64,
}

impl Store {
    /// The days from `start` up to `end` on which somebody joined, oldest first.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn analytics(
        &self,
        organization: OrganizationId,
        start: OffsetDateTime,
        end: OffsetDateTime,
    ) -> Result<Vec<Day>, StoreError> {
        self.run(Operation::Read, move |db| {
            let days = db
                .conn
                .prepare_cached(
                    "SELECT date(p.joined_at / 1000000000, 'unixepoch') AS day,
                        count(DISTINCT p.session_id) AS sessions,
                        count(*) AS participants,
                        sum(max(coalesce(p.left_at, ?4) - p.joined_at, 0)) / 6e10 AS minutes,
                        sum(p.kind = 'robo') AS phones,
                        sum(max(coalesce(p.left_at, ?4) - p.joined_at, 0)
                            * (p.kind = 'robo')) / 6e10 AS phone_minutes
                     FROM session_participants p JOIN sessions s ON s.id = p.session_id
                     WHERE s.organization_id = ?1 AND p.joined_at >= ?2 AND p.joined_at < ?3
                     GROUP BY day ORDER BY day",
                )?
                .query_map(
                    params![
                        organization.to_string(),
                        row::ns(start.unix_timestamp_nanos()),
                        row::ns(end.unix_timestamp_nanos()),
                        db.unix_ns(),
                    ],
                    |row| {
                        let count = |column: &str| row.get::<_, i64>(column).map(i64::unsigned_abs);
                        Ok(Day {
                            date: row.get("day")?,
                            sessions: count("sessions")?,
                            participants: count("participants")?,
                            minutes: row.get("minutes")?,
                            phone_participants: count("phones")?,
                            phone_minutes: row.get("phone_minutes")?,
                        })
                    },
                )?
                .collect::<Result<_, _>>()?;
            Ok(days)
        })
        .await
    }
}
