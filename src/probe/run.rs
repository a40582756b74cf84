//! One run of the probe, stage by stage; whatever happens, the phone hangs up and the browser
//! leaves.

use std::time::Duration;

use super::args::Target;
use super::browser::{Browser, Join};
use super::ear::{Ear, UNHEARD_SHARE_MAX};
use super::failure::{Failure, Stage};
use super::phone::media::PhoneMedia;
use super::phone::{Dial, PhoneCall};
use super::report::{Report, Way, ms_between};
use super::rest::Rest;
use super::sound::{EAR_RATE_HZ, Voice};
use crate::meeting::signal::ParticipantView;
use crate::run::clock;

/// What the phone says. The two tones have no common multiple below the chirps.
const PHONE_TONE_HZ: f32 = 550.0;
/// What the browser says.
const BROWSER_TONE_HZ: f32 = 950.0;
/// Sample rate of the browser's microphone.
const BROWSER_RATE_HZ: u32 = 48_000;
/// Sound that belongs to the beginning (jitter buffers fill) and is not measured.
const SETTLING: Duration = Duration::from_millis(500);
/// The key pressed on the phone.
const KEY: char = '5';

/// Runs all stages.
pub async fn run(target: &Target) -> Report {
    let mut report = Report::default();
    match stages(target, &mut report).await {
        Ok(()) => report.ok = true,
        Err(failure) => report.failure = Some(failure),
    }
    report
}

async fn stages(target: &Target, report: &mut Report) -> Result<(), Failure> {
    let dial = Dial {
        display_name: "Ringbridge probe".to_owned(),
        answer_wait: target.stage_wait,
        ..Dial::new(&target.sip_uri, &target.sip_username, &target.sip_password)
    };
    report.sip_server = dial.resolve().await?.to_string();
    let browser = join(target, report).await?;
    let called = with_phone(target, &dial, &browser, report).await;
    let me = browser.room().me();
    browser.leave().await;
    called?;
    match me {
        Some(_) => Ok(()),
        None => Err(Failure::new(Stage::Leave, "the seat was never ours")),
    }
}

async fn join(target: &Target, report: &mut Report) -> Result<Browser, Failure> {
    let token = |error| Failure::new(Stage::Token, error);
    let rest = Rest::new(
        &target.api_base,
        &target.organization_id,
        &target.api_key,
        target.accept_any_certificate,
    )
    .map_err(token)?;
    let name = "Ringbridge probe";
    let asking = rest.join_token(target.meeting_id, name);
    let join = Join {
        accept_any_certificate: target.accept_any_certificate,
        wait: target.stage_wait,
        ..Join::new(&rest.signal_url(), &asking.await.map_err(token)?, name)
    };
    let voice = Voice::marked(BROWSER_TONE_HZ, BROWSER_RATE_HZ);
    let browser = Browser::join(&join, voice).await?;
    let times = browser.times;
    report.join_to_seat_ms = Some(ms_between(times.begun, times.joined));
    report.join_to_media_ms = Some(ms_between(times.begun, times.connected));
    let others = browser.room().participants().len();
    if others > 0 {
        report.remarks.push(format!(
            "{others} others are in the meeting: they hear the tones, and the figures hear them"
        ));
    }
    Ok(browser)
}

async fn with_phone(
    target: &Target,
    dial: &Dial,
    browser: &Browser,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut call = dial.call().await?;
    report.codec = Some(call.remote.codec.encoding_name());
    let times = call.times;
    report.invite_to_answer_ms = Some(ms_between(times.invited, times.answered));
    if times.challenged.is_none() {
        let remark = "the call was taken without credentials (a trunk's address, perhaps)";
        report.remarks.push(remark.to_owned());
    }
    let talked = talk(target, &mut call, browser, report).await;
    let status = call.hang_up().await;
    report.hang_up_status = status.as_ref().ok().copied();
    let phone = talked?;
    match status {
        Ok(200..=299) => {}
        Ok(status) => return Err(Failure::new(Stage::HangUp, format!("BYE got {status}"))),
        Err(error) => return Err(Failure::new(Stage::HangUp, error)),
    }
    let gone = |room: &super::browser::Room| {
        let still = room.participants().iter().any(|p| p.id == phone.id);
        (!still).then_some(())
    };
    let left = browser.room().wait_until(target.stage_wait, gone).await;
    left.ok_or_else(|| Failure::new(Stage::HangUp, "the phone is still shown in the meeting"))
}

async fn talk(
    target: &Target,
    call: &mut PhoneCall,
    browser: &Browser,
    report: &mut Report,
) -> Result<ParticipantView, Failure> {
    let wait = target.stage_wait;
    let answered = call.times.answered;
    let media = call
        .media(Voice::marked(PHONE_TONE_HZ, EAR_RATE_HZ))
        .map_err(|error| Failure::new(Stage::Answer, error))?;
    let phone = browser.wait_for_phone(wait).await.ok_or_else(|| {
        Failure::new(
            Stage::Participant,
            "the phone does not show up in the meeting",
        )
    })?;
    let heard = browser.wait_for_voice(phone.id, wait).await;
    let browser_ear = heard.ok_or_else(|| {
        let streams = browser.room().heard().len();
        let error = format!("no packet of the phone came ({streams} streams of others)");
        Failure::new(Stage::MediaToBrowser, error)
    })?;
    tone(&browser_ear, PHONE_TONE_HZ, wait, Stage::MediaToBrowser).await?;
    tone(media.ear(), BROWSER_TONE_HZ, wait, Stage::MediaToPhone).await?;
    let since_answer = |ear: &Ear| ear.first_arrival().map(|at| ms_between(answered, at));
    report.answer_to_browser_sound_ms = since_answer(&browser_ear);
    report.answer_to_phone_sound_ms = since_answer(media.ear());
    measure(target, &media, &browser_ear, browser, report).await;
    check_echo(report)?;
    if call.remote.dtmf_payload_type.is_some() {
        press(&media, browser, &phone, wait, report).await?;
    }
    Ok(phone)
}

async fn tone(ear: &Ear, tone_hz: f32, wait: Duration, stage: Stage) -> Result<(), Failure> {
    match ear.wait_for_tone(tone_hz, wait).await {
        Ok(_) => Ok(()),
        Err(missing) => Err(Failure::new(stage, missing)),
    }
}

async fn measure(
    target: &Target,
    media: &PhoneMedia,
    browser_ear: &Ear,
    browser: &Browser,
    report: &mut Report,
) {
    tokio::time::sleep(SETTLING).await;
    let since = clock::now();
    let before = (browser_ear.stats(), media.ear().stats());
    tokio::time::sleep(target.measured).await;
    // Both first: finding chirps takes its time.
    let at_browser = browser_ear.stats().since(&before.0);
    let at_phone = media.ear().stats().since(&before.1);
    report.phone_to_browser = Some(Way::measure(
        browser_ear,
        &at_browser,
        since,
        &media.spoken(),
        PHONE_TONE_HZ,
        BROWSER_TONE_HZ,
    ));
    report.browser_to_phone = Some(Way::measure(
        media.ear(),
        &at_phone,
        since,
        &browser.spoken(),
        BROWSER_TONE_HZ,
        PHONE_TONE_HZ,
    ));
}

fn check_echo(report: &Report) -> Result<(), Failure> {
    for (who, way) in [
        ("browser", &report.phone_to_browser),
        ("phone", &report.browser_to_phone),
    ] {
        let own = way.as_ref().map_or(0.0, |way| way.own_tone_share);
        if own > UNHEARD_SHARE_MAX {
            let error = format!("the {who} hears itself: {own:.3} of its sound is its own tone");
            return Err(Failure::new(Stage::Echo, error));
        }
    }
    Ok(())
}

async fn press(
    media: &PhoneMedia,
    browser: &Browser,
    phone: &ParticipantView,
    wait: Duration,
    report: &mut Report,
) -> Result<(), Failure> {
    media.press(KEY, Duration::from_millis(120)).await;
    let heard = |room: &super::browser::Room| {
        let keys = room.keys();
        keys.contains(&(phone.id, KEY)).then_some(())
    };
    let came = browser.room().wait_until(wait, heard).await.is_some();
    report.dtmf = Some(came);
    match came {
        true => Ok(()),
        false => Err(Failure::new(
            Stage::Dtmf,
            "the key never showed up in the meeting",
        )),
    }
}
