//! `/v2/analytics/daywise`: what an organisation used, day by day.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime};

use super::auth::Caller;
use super::error::ApiError;
use super::state::ApiState;
use super::types::{Search, Success, Time};
use crate::limits::ANALYTICS_DAYS_MAX;
use crate::store::analytics::Day;

#[derive(Deserialize)]
pub(super) struct Range {
    start_date: Option<String>,
    end_date: Option<String>,
}

/// One day; a stay counts for the day it began.
#[derive(Serialize)]
pub(super) struct DayView {
    date: String,
    sessions: u64,
    participants: u64,
    minutes: f64,
    phone_participants: u64,
    phone_minutes: f64,
}

impl From<Day> for DayView {
    fn from(day: Day) -> Self {
        Self {
            date: day.date,
            sessions: day.sessions,
            participants: day.participants,
            minutes: day.minutes,
            phone_participants: day.phone_participants,
            phone_minutes: day.phone_minutes,
        }
    }
}

pub(super) async fn daywise(
    State(state): State<ApiState>,
    caller: Caller,
    Search(range): Search<Range>,
) -> Result<Success<Vec<DayView>>, ApiError> {
    let today = Time::now().0.date();
    let last = range.end_date.as_deref().map_or(Ok(today), date)?;
    let first = match range.start_date.as_deref() {
        Some(first) => date(first)?,
        None => last.saturating_sub(Duration::days(29)),
    };
    let days = (last - first).whole_days() + 1;
    if !(1..=ANALYTICS_DAYS_MAX).contains(&days) {
        let message = format!("start_date to end_date must be 1 to {ANALYTICS_DAYS_MAX} days");
        return Err(ApiError::bad_request("invalid_query", message));
    }
    let midnight = |day: Date| OffsetDateTime::new_utc(day, time::Time::MIDNIGHT);
    let end = midnight(last) + Duration::DAY;
    let store = state.store();
    let listed = store
        .analytics(caller.organization, midnight(first), end)
        .await?;
    Ok(Success(listed.into_iter().map(DayView::from).collect()))
}

fn date(text: &str) -> Result<Date, ApiError> {
    // Beyond the year 9999 nothing is written that could be read.
    let day = Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    day.filter(|day| (1970..9_999).contains(&day.year()))
        .ok_or_else(|| ApiError::bad_request("invalid_query", "dates are written YYYY-MM-DD"))
}
