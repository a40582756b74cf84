//! What tests and benches share: the probe's real clients under one name. A test of the whole
//! server takes a [`phone::Dial`], a [`browser::Browser`] and the [`sound::Voice`] each speaks
//! with, and asks their [`ear::Ear`]s who heard whom.

pub use crate::probe::{browser, ear, phone, rest, sound};
