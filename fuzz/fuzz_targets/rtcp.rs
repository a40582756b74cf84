#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringbridge_fuzz::rtcp(data));
