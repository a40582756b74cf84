#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringbridge_fuzz::sip_message(data));
