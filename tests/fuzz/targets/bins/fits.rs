#![no_main]

use pellucid_fuzz::{fits, mutate};

libfuzzer_sys::fuzz_target!(|data: &[u8]| fits::run(data));

// Half of the time a whole card changes, which single bytes would take long to find.
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    match seed % 2 {
        0 => mutate::cards(data, size, max_size, seed),
        _ => libfuzzer_sys::fuzzer_mutate(data, size, max_size),
    }
});
