//! Phones, browsers, links and tones for tests, benches and the load generator.
