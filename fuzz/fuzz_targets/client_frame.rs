#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whimbrel_wire::fuzzing::client_frame(data));
