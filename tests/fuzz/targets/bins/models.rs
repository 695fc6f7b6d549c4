#![no_main]

use pellucid_fuzz::{models, mutate};

libfuzzer_sys::fuzz_target!(|data: &[u8]| models::run(data));

// Half of the time a piece of JSON changes and the length before it follows.
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    match seed % 2 {
        0 => mutate::model(data, size, max_size, seed),
        _ => libfuzzer_sys::fuzzer_mutate(data, size, max_size),
    }
});
