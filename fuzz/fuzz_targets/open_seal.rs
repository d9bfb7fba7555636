#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whimbrel_wire::fuzzing::open_seal(data));
