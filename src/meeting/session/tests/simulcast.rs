//! A camera in three layers, and who gets which.

use super::*;
use crate::meeting::vp8::tests::{numbers, packet};

const RIDS: [&str; 3] = ["q", "h", "f"];
const SIZES: [(u16, u16); 3] = [(320, 180), (640, 360), (1280, 720)];

/// Three layers at 20 frames a second; a layer begins anew when its keyframe was asked for.
pub(super) struct Camera {
    pub seat: SeatId,
    frame: u32,
    asked: usize,
    /// Layers it can send now.
    layers: std::ops::Range<usize>,
}

impl Camera {
    pub fn new(world: &mut World) -> Self {
        Self {
            seat: world.layered_browser(&RIDS),
            frame: 0,
            asked: 0,
            layers: 0..3,
        }
    }

    pub fn run(&mut self, world: &mut World, frames: u32) {
        for _ in 0..frames {
            let now = world.now;
            let double = &mut world.browsers.get_mut(&self.seat).unwrap().double;
            let asked = std::mem::replace(&mut self.asked, double.keyframes_asked);
            let begins = self.frame == 0 || double.keyframes_asked > asked;
            for layer in self.layers.clone() {
                // Every layer counts by itself, as in Chrome.
                let id = (self.frame + layer as u32 * 1_000) as u16 & 0x7FFF;
                let size = begins.then_some(SIZES[layer]);
                let mut payload = packet(id, id as u8, true, size);
                payload.resize(300 + 900 * layer, layer as u8);
                let timestamp = self.frame * 4_500 + layer as u32 * 77_777;
                double.show_layer(now, layer, timestamp, &payload);
            }
            self.frame += 1;
            world.run(Duration::from_millis(50));
        }
    }
}

/// Layers of the packets a watcher got, in order, without repetitions.
pub(super) fn layers_seen(world: &World, watcher: SeatId, camera: &Camera) -> Vec<u8> {
    let id = world.browsers[&camera.seat].id;
    let mut seen: Vec<u8> = Vec::new();
    for packet in world.browsers[&watcher].double.heard(id, Source::Camera) {
        seen.push(*packet.payload.last().unwrap());
    }
    seen.dedup();
    // The first layer's packets end as they are made.
    seen
}

fn subscribe(world: &mut World, watcher: SeatId, camera: &Camera, width: u32, visible: bool) {
    let message = ClientMessage::Subscribe {
        participant_id: world.browsers[&camera.seat].id,
        source: Source::Camera,
        max_width: Some(width),
        visible,
    };
    world.session.handle_client(world.now, watcher, message);
    world.deliver();
}

/// Sequence numbers and pictures run on without a gap, and time goes forward.
fn assert_continuous(world: &World, watcher: SeatId, camera: &Camera) {
    let id = world.browsers[&camera.seat].id;
    let heard = world.browsers[&watcher].double.heard(id, Source::Camera);
    for pair in heard.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        assert_eq!(after.sequence, before.sequence.wrapping_add(1));
        let passed = after.timestamp.wrapping_sub(before.timestamp);
        assert!((1..9_000_000).contains(&passed), "time went by {passed}");
        let (before, after) = (numbers(&before.payload), numbers(&after.payload));
        assert_eq!(after.0, (before.0 + 1) & 0x7FFF);
        assert_eq!(after.1, before.1.wrapping_add(1));
    }
}

#[test]
fn each_watcher_gets_the_layer_that_fits_and_its_picture_never_breaks() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world);
    let (large, small) = (world.browser(None), world.browser(None));
    world.all_connected();
    camera.run(&mut world, 40);
    subscribe(&mut world, small, &camera, 200, true);
    camera.run(&mut world, 40);
    world.listen_anew();
    camera.run(&mut world, 20);
    assert_eq!(layers_seen(&world, large, &camera), [2]);
    assert_eq!(layers_seen(&world, small, &camera), [0]);
    // There and back, while somebody comes and everything is offered anew.
    world.browser(None);
    subscribe(&mut world, small, &camera, 700, true);
    camera.run(&mut world, 40);
    subscribe(&mut world, small, &camera, 640, true);
    camera.run(&mut world, 40);
    assert_eq!(layers_seen(&world, small, &camera), [0, 2, 1]);
    for watcher in [large, small] {
        assert_continuous(&world, watcher, &camera);
    }
}

#[test]
fn what_is_not_looked_at_is_not_sent_and_comes_back_with_a_keyframe() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world);
    let watcher = world.browser(None);
    world.all_connected();
    camera.run(&mut world, 40);
    subscribe(&mut world, watcher, &camera, 1280, false);
    let seen = |world: &World| {
        let id = world.browsers[&camera.seat].id;
        world.browsers[&watcher]
            .double
            .heard(id, Source::Camera)
            .len()
    };
    let before = seen(&world);
    assert!(before > 20, "{before}");
    camera.run(&mut world, 40);
    let seen = |world: &World| {
        let id = world.browsers[&camera.seat].id;
        world.browsers[&watcher]
            .double
            .heard(id, Source::Camera)
            .len()
    };
    assert_eq!(seen(&world), before);
    let asked = camera.asked;
    subscribe(&mut world, watcher, &camera, 1280, true);
    camera.run(&mut world, 40);
    assert!(camera.asked > asked, "a keyframe was asked for");
    let id = world.browsers[&camera.seat].id;
    let heard = world.browsers[&watcher].double.heard(id, Source::Camera);
    assert!(heard.len() > before + 30);
    let again = crate::meeting::vp8::keyframe_size(&heard[before].payload);
    assert!(again.is_some(), "it comes back with a keyframe");
    assert_continuous(&world, watcher, &camera);
}

#[test]
fn a_layer_its_publisher_gives_up_is_replaced_by_the_next_and_taken_up_again() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world);
    let watcher = world.browser(None);
    world.all_connected();
    camera.run(&mut world, 40);
    assert_eq!(layers_seen(&world, watcher, &camera).last(), Some(&2));
    camera.layers = 0..2;
    camera.run(&mut world, 60);
    assert_eq!(layers_seen(&world, watcher, &camera).last(), Some(&1));
    camera.layers = 0..3;
    camera.run(&mut world, 40);
    assert_eq!(layers_seen(&world, watcher, &camera).last(), Some(&2));
    assert_continuous(&world, watcher, &camera);
}

#[test]
fn a_wish_about_nobody_is_refused() {
    let mut world = World::new();
    let watcher = world.browser(None);
    world.all_connected();
    let message = ClientMessage::Subscribe {
        participant_id: ParticipantId::from_random(99),
        source: Source::Camera,
        max_width: None,
        visible: true,
    };
    world.session.handle_client(world.now, watcher, message);
    world.deliver();
    let refused = |message: &ServerMessage| matches!(message, ServerMessage::Error { code, .. } if code == "unknown_participant");
    assert!(world.messages(watcher).iter().any(refused));
}
