//! A camera in three layers behind a narrow way.

use super::simulcast::{Camera, layers_seen};
use super::*;

#[test]
fn the_layer_falls_with_the_way_and_comes_back_and_the_voice_is_whole() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world);
    let speaker = world.browser(Some(700.0));
    let watcher = world.browser(None);
    world.all_connected();
    camera.run(&mut world, 200);
    assert_eq!(layers_seen(&world, watcher, &camera).last(), Some(&2));
    let known = |world: &World| {
        let said = world.messages(watcher).iter().rev().find_map(|m| match m {
            ServerMessage::Quality { available_bps, .. } => *available_bps,
            _ => None,
        });
        said.unwrap()
    };
    assert!(known(&world) > 1_000_000, "{}", known(&world));

    // The layers take some 50, 200 and 350 kbit/s, the voice 30.
    world.network.narrow = Some((watcher, 300_000));
    camera.run(&mut world, 100);
    world.listen_anew();
    let (mut calm, mut lost) = (0, 0);
    for _ in 0..20 {
        world.network.waited = Duration::ZERO;
        let before = world.network.lost;
        camera.run(&mut world, 20);
        lost += world.network.lost - before;
        calm += usize::from(world.network.waited < Duration::from_millis(150));
    }
    let seen = layers_seen(&world, watcher, &camera);
    assert!(seen.contains(&0) || seen.contains(&1), "{seen:?}");
    assert!(seen.len() < 12, "it changes all the time: {seen:?}");
    assert!(calm >= 14, "the queue was short in {calm} of 20 seconds");
    assert!(lost < 30, "{lost} were lost while more was tried");
    let speaker = world.browsers[&speaker].id;
    let voice = world.browsers[&watcher]
        .double
        .heard(speaker, Source::Microphone);
    assert!(voice.len() >= 970, "{} packets in 20 s", voice.len());
    let heard = world.browser_hears(watcher, speaker);
    assert!(holds_tone(&heard, 700.0));

    world.network.narrow = None;
    let mut frames = 0;
    while layers_seen(&world, watcher, &camera).last() != Some(&2) {
        camera.run(&mut world, 20);
        frames += 20;
        assert!(
            frames < 20 * 60,
            "not back after two minutes: {}",
            known(&world)
        );
    }
}

#[test]
fn a_way_too_narrow_for_any_picture_carries_the_voice() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world);
    let speaker = world.browser(Some(700.0));
    let watcher = world.browser(None);
    world.all_connected();
    camera.run(&mut world, 100);
    world.network.narrow = Some((watcher, 60_000));
    camera.run(&mut world, 300);
    world.listen_anew();
    camera.run(&mut world, 100);
    let speaker = world.browsers[&speaker].id;
    let heard = world.browser_hears(watcher, speaker);
    assert!(holds_tone(&heard, 700.0));
    let voice = world.browsers[&watcher]
        .double
        .heard(speaker, Source::Microphone);
    assert!(voice.len() >= 240, "{} packets in 5 s", voice.len());
}
