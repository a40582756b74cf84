//! Call records: one row for each call that ended.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use tokio::sync::oneshot;

use super::thread::{Database, Job};
use super::{Listed, Page, Store, StoreError, row};
use crate::call::record::CallRecord;
use crate::call::trace::Timeline;
use crate::id::{CallId, CredentialId, MeetingId, OrganizationId, ParticipantId, SessionId};
use crate::limits::STORE_REPLY_MAX;
use crate::meeting::leg::LegReport;
use crate::meeting::quality::{DirectionReport, QualityPoint};
use crate::telemetry::metric::store::Operation;

/// An ended call as read back. Labels are text: an older version may have written others.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCall {
    /// Its id.
    pub id: CallId,
    /// Owner of the credentials or of the meeting.
    pub organization: OrganizationId,
    /// The dialled meeting, if there is one of that id.
    pub meeting: Option<MeetingId>,
    /// The session it joined.
    pub session: Option<SessionId>,
    /// The robo participant it was.
    pub participant: Option<ParticipantId>,
    /// The credentials it used.
    pub credential: Option<CredentialId>,
    /// SIP Call-ID.
    pub sip_call_id: String,
    /// The caller as the meeting saw it.
    pub caller: String,
    /// SIP profile applied.
    pub profile: String,
    /// INVITE received.
    pub started_at: OffsetDateTime,
    /// 200 sent.
    pub answered_at: Option<OffsetDateTime>,
    /// Its end.
    pub ended_at: OffsetDateTime,
    /// From INVITE to 200.
    pub setup: Option<Duration>,
    /// Final status of the INVITE.
    pub sip_status: u16,
    /// Why it ended.
    pub reason: String,
    /// Whose fault or merit.
    pub outcome: String,
    /// Figures of its media.
    pub quality: Option<CallQuality>,
    /// What happened, as far as it was kept.
    pub timeline: Timeline,
}

/// Figures of a call's media.
#[derive(Debug, Clone, PartialEq)]
pub struct CallQuality {
    /// RTP packets accepted from the phone.
    pub packets_received: u64,
    /// RTP packets sent to it.
    pub packets_sent: u64,
    /// Lost on the way from it.
    pub packets_lost: u64,
    /// Refused.
    pub packets_discarded: u64,
    /// Interarrival jitter in ms.
    pub jitter_ms: f64,
    /// Audio invented for it, in ms.
    pub concealed_ms: u64,
    /// What it says it lost of ours, 0.0–1.0.
    pub remote_loss: Option<f64>,
    /// Round trip in ms.
    pub round_trip_ms: Option<f64>,
    /// Each way apart, and the curve; missing in records of older versions.
    pub ways: CallWays,
}

/// Each way of a call's media, and how it went over time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallWays {
    /// From the phone.
    pub received: DirectionReport,
    /// To the phone.
    pub sent: DirectionReport,
    /// In points of equal length.
    pub curve: Vec<QualityPoint>,
}

impl From<&LegReport> for CallQuality {
    fn from(report: &LegReport) -> Self {
        Self {
            packets_received: report.packets_received,
            packets_sent: report.packets_sent,
            packets_lost: report.packets_lost,
            packets_discarded: report.packets_discarded,
            jitter_ms: f64::from(report.jitter_ms),
            concealed_ms: report.concealed_ms,
            remote_loss: report.remote_loss.map(f64::from),
            round_trip_ms: report.round_trip_ms.map(f64::from),
            ways: CallWays {
                received: report.received,
                sent: report.sent,
                curve: report.curve.clone(),
            },
        }
    }
}

/// Which calls are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// To this meeting only.
    pub meeting: Option<MeetingId>,
    /// With this outcome only.
    pub outcome: Option<String>,
}

impl Store {
    /// Writes an ended call. When this returns it is on the disk. Once queued it is written even if
    /// the caller gives up; written twice, the first stands.
    ///
    /// # Errors
    /// As any store operation; [`StoreError::Busy`] may mean "not yet".
    pub async fn record_call(&self, record: CallRecord) -> Result<(), StoreError> {
        let (reply, written) = oneshot::channel();
        let job = Job::Call(Box::new(CallWrite {
            record,
            reply: Some(reply),
        }));
        let exchange = async {
            self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
            written.await.map_err(|_| StoreError::Closed)?
        };
        match tokio::time::timeout(STORE_REPLY_MAX, exchange).await {
            Ok(result) => result,
            Err(_) => {
                self.metrics.busy.inc();
                Err(StoreError::Busy)
            }
        }
    }

    /// Notes a call that was answered, so that a crash leaves a trace of it: the next start ends
    /// it. Waits for nothing; when the queue is full only that trace is missing.
    pub fn call_answered(&self, record: CallRecord) {
        let write = CallWrite {
            record,
            reply: None,
        };
        if self.jobs.try_send(Job::Call(Box::new(write))).is_err() {
            self.metrics.busy.inc();
        }
    }

    /// An organisation's ended calls, newest first.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn calls(
        &self,
        organization: OrganizationId,
        filter: CallFilter,
        page: Page,
    ) -> Result<Listed<StoredCall>, StoreError> {
        self.run(Operation::Read, move |db| {
            let organization = organization.to_string();
            let meeting = filter.meeting.map(|id| id.to_string());
            let matching = "open = 0 AND organization_id = ?1 AND (?2 IS NULL OR meeting_id = ?2)
                AND (?3 IS NULL OR outcome = ?3)";
            let total = db.conn.query_row(
                &format!("SELECT count(*) FROM calls WHERE {matching}"),
                params![organization, meeting, filter.outcome],
                row::count,
            )?;
            let items = db
                .conn
                .prepare_cached(&format!(
                    "SELECT * FROM calls WHERE {matching}
                     ORDER BY started_at DESC, id LIMIT ?4 OFFSET ?5"
                ))?
                .query_map(
                    params![
                        organization,
                        meeting,
                        filter.outcome,
                        page.limit,
                        page.offset
                    ],
                    from_row,
                )?
                .collect::<Result<_, _>>()?;
            Ok(Listed { items, total })
        })
        .await
    }

    /// An organisation's ended call, if it has this one.
    ///
    /// # Errors
    /// As any store operation.
    pub async fn call(
        &self,
        organization: OrganizationId,
        id: CallId,
    ) -> Result<Option<StoredCall>, StoreError> {
        self.run(Operation::Read, move |db| {
            Ok(db
                .conn
                .prepare_cached(
                    "SELECT * FROM calls WHERE id = ?1 AND organization_id = ?2 AND open = 0",
                )?
                .query_row(params![id.to_string(), organization.to_string()], from_row)
                .optional()?)
        })
        .await
    }
}

/// A record on its way to the disk.
pub(super) struct CallWrite {
    record: CallRecord,
    /// Who waits for it; `None`: the call goes on, and its row stays open.
    reply: Option<oneshot::Sender<Result<(), StoreError>>>,
}

/// Writes all in one transaction, so that a thousand calls that end together wait for the disk
/// once. Whoever waits hears of it when it is on the disk.
pub(super) fn write_batch(db: &mut Database, batch: Vec<CallWrite>) {
    let began = db.now();
    let together = write_all(db, &batch);
    let failed = together.is_err();
    for write in batch {
        // One that the database refuses must not take the others with it.
        let result = match &together {
            Ok(()) => Ok(()),
            Err(_) => write_all(db, std::slice::from_ref(&write)),
        };
        match (write.reply, result) {
            // The caller may have given up meanwhile.
            (Some(reply), result) => drop(reply.send(result)),
            (None, Err(error)) => tracing::warn!(%error, "an answered call could not be noted"),
            (None, Ok(())) => {}
        }
    }
    let took = db.now() - began;
    db.metrics.done(Operation::RecordCall, took, failed);
}

fn write_all(db: &mut Database, batch: &[CallWrite]) -> Result<(), StoreError> {
    let tx = db.write()?;
    for write in batch {
        insert(&tx, &write.record, write.reply.is_none())?;
    }
    Ok(tx.commit()?)
}

fn insert(conn: &Connection, record: &CallRecord, is_open: bool) -> rusqlite::Result<()> {
    let id = record.id.to_string();
    if !is_open {
        conn.prepare_cached("DELETE FROM calls WHERE id = ?1 AND open = 1")?
            .execute([&id])?;
    }
    let report = record.report.as_ref().map(CallQuality::from);
    let report = report.as_ref();
    // Plain numbers always serialise.
    let ways = report.and_then(|r| serde_json::to_string(&r.ways).ok());
    let timeline = (!record.timeline.facts.is_empty())
        .then(|| serde_json::to_string(&record.timeline).ok())
        .flatten();
    conn.prepare_cached(
        "INSERT OR IGNORE INTO calls (id, organization_id, meeting_id, session_id,
            participant_id, credential_id, sip_call_id, caller, profile, started_at,
            answered_at, ended_at, setup_ns, sip_status, reason, outcome,
            packets_received, packets_sent, packets_lost, packets_discarded, jitter_ms,
            concealed_ms, remote_loss, round_trip_ms, open, timeline, quality)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
            ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)",
    )?
    .execute(params![
        id,
        record.organization.to_string(),
        record.meeting.map(|id| id.to_string()),
        record.session.map(|id| id.to_string()),
        record.participant.map(|id| id.to_string()),
        record.credential.map(|id| id.to_string()),
        record.call_id_header,
        record.caller,
        record.profile,
        row::ns(record.started_at_unix_ns),
        record.answered_at_unix_ns.map(row::ns),
        row::ns(record.ended_at_unix_ns),
        record
            .setup
            .map(|setup| i64::try_from(setup.as_nanos()).unwrap_or(i64::MAX)),
        record.sip_status,
        record.reason,
        record.outcome.label(),
        report.map(|r| count(r.packets_received)),
        report.map(|r| count(r.packets_sent)),
        report.map(|r| count(r.packets_lost)),
        report.map(|r| count(r.packets_discarded)),
        report.map(|r| r.jitter_ms),
        report.map(|r| count(r.concealed_ms)),
        report.and_then(|r| r.remote_loss),
        report.and_then(|r| r.round_trip_ms),
        is_open,
        timeline,
        ways,
    ])?;
    Ok(())
}

/// Ends calls that an earlier process left open, when it was last known to live: its last write of
/// the health check, else the call's answer. Says how many.
pub(super) fn end_interrupted(conn: &Connection) -> rusqlite::Result<usize> {
    conn.execute(
        "UPDATE calls SET open = 0, ended_at = max(
            ended_at,
            coalesce((SELECT value FROM settings WHERE key = 'writable_at'), 0))
         WHERE open = 1",
        [],
    )
}

/// A count as SQLite holds it.
fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<StoredCall> {
    Ok(StoredCall {
        id: row::id(row, "id")?,
        organization: row::id(row, "organization_id")?,
        meeting: row::id_opt(row, "meeting_id")?,
        session: row::id_opt(row, "session_id")?,
        participant: row::id_opt(row, "participant_id")?,
        credential: row::id_opt(row, "credential_id")?,
        sip_call_id: row.get("sip_call_id")?,
        caller: row.get("caller")?,
        profile: row.get("profile")?,
        started_at: row::time(row, "started_at")?,
        answered_at: row::time_opt(row, "answered_at")?,
        ended_at: row::time(row, "ended_at")?,
        setup: row
            .get::<_, Option<i64>>("setup_ns")?
            .map(Duration::nanoseconds),
        sip_status: row.get("sip_status")?,
        reason: row.get("reason")?,
        outcome: row.get("outcome")?,
        quality: quality_from_row(row)?,
        timeline: row
            .get::<_, Option<String>>("timeline")?
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default(),
    })
}

fn quality_from_row(row: &Row<'_>) -> rusqlite::Result<Option<CallQuality>> {
    let Some(packets_received) = row.get::<_, Option<i64>>("packets_received")? else {
        return Ok(None);
    };
    let count = |column: &str| {
        row.get::<_, Option<i64>>(column)
            .map(|value| value.unwrap_or(0).unsigned_abs())
    };
    Ok(Some(CallQuality {
        packets_received: packets_received.unsigned_abs(),
        packets_sent: count("packets_sent")?,
        packets_lost: count("packets_lost")?,
        packets_discarded: count("packets_discarded")?,
        jitter_ms: row.get::<_, Option<f64>>("jitter_ms")?.unwrap_or(0.0),
        concealed_ms: count("concealed_ms")?,
        remote_loss: row.get("remote_loss")?,
        round_trip_ms: row.get("round_trip_ms")?,
        // What an older or newer version wrote differently is left out.
        ways: row
            .get::<_, Option<String>>("quality")?
            .and_then(|ways| serde_json::from_str(&ways).ok())
            .unwrap_or_default(),
    }))
}
