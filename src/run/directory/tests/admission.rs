//! Who is let in while a worker is near its limit; its load is what the test says.

use std::sync::atomic::AtomicU64;

use super::*;
use crate::run::worker::meter::LoadSource;

/// A worker's CPU time, running at the speed last set.
struct Load {
    permille: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Load {
    fn start() -> (Self, LoadSource) {
        let used = Arc::new(AtomicU64::new(0));
        let permille = Arc::new(AtomicU64::new(100));
        let (cell, speed) = (Arc::clone(&used), Arc::clone(&permille));
        let task = tokio::spawn(async move {
            let mut before = Instant::now();
            let mut clock = tokio::time::interval(Duration::from_millis(5));
            loop {
                clock.tick().await;
                let wall = before.elapsed();
                before += wall;
                let ns = wall.as_nanos() as u64 * speed.load(Ordering::Relaxed) / 1_000;
                cell.fetch_add(ns, Ordering::Relaxed);
            }
        });
        (Self { permille, task }, LoadSource::Told(used))
    }

    async fn set(&self, directory: &Directory, permille: u64) {
        self.permille.store(permille, Ordering::Relaxed);
        let wanted = permille as f32 / 1_000.0;
        eventually("the load is measured", async || {
            (directory.workers()[0].load - wanted).abs() < 0.05
        })
        .await;
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn try_phone(
    directory: &Directory,
    meeting: &MeetingInfo,
    number: u128,
) -> Result<PhoneSeat, JoinRefusal> {
    let sockets = RtpSockets::bind_any(loopback()).unwrap();
    let media = leg_media("127.0.0.1:9".parse().unwrap());
    let joining = joining(number, ParticipantKind::Robo);
    directory.join_phone(meeting, joining, media, sockets).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_worker_refuses_newcomers_and_its_calls_go_on_undisturbed() {
    let (load, load_source) = Load::start();
    let directory = Directory::start(WorkerConfig {
        load_source,
        session_linger: Duration::from_millis(100),
        ..WorkerConfig::loopback()
    })
    .unwrap();
    let metrics_before = directory.workers()[0].clone();
    assert_eq!((metrics_before.sessions, metrics_before.legs), (0, 0));
    let (seat, mut heard, _) = phone(&directory, &meeting(1), 11, 440.0).await;
    load.set(&directory, 950).await;

    for (number, meeting) in [(12, meeting(1)), (13, meeting(2))] {
        let refused = try_phone(&directory, &meeting, number).await.unwrap_err();
        let JoinRefusal::Busy { retry_after } = refused else {
            panic!("{refused:?}");
        };
        assert!(retry_after > Duration::ZERO);
        let browser = joining(number + 10, ParticipantKind::Browser);
        let refused = directory
            .join_browser(&meeting, browser, String::new())
            .await;
        assert!(matches!(refused, Err(JoinRefusal::Busy { .. })));
    }
    assert!(directory.snapshot(meeting(2).id).await.is_none());
    let snapshot = directory.snapshot(meeting(1).id).await.unwrap();
    assert_eq!(snapshot.participants.len(), 1);
    eventually("encoders step down", async || {
        directory.workers()[0].complexity < 5
    })
    .await;

    // The call in progress gets its fifty packets a second.
    while heard.try_recv().is_ok() {}
    let begun = Instant::now();
    for _ in 0..50 {
        tokio::time::timeout(DEADLINE, heard.recv()).await.unwrap();
    }
    assert!(begun.elapsed() > Duration::from_millis(800));
    // Whoever is in already and comes again is no newcomer.
    let again = try_phone(&directory, &meeting(1), 11).await.unwrap();
    assert_eq!(again.session_id, seat.session_id);

    load.set(&directory, 200).await;
    for (number, meeting) in [(12, meeting(1)), (13, meeting(2))] {
        try_phone(&directory, &meeting, number).await.unwrap();
    }
    drop((seat, again));
    eventually("all sessions end", async || {
        directory.live_meetings().await.is_empty()
    })
    .await;
    directory.shutdown().await;
}
