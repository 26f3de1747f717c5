#![no_main]

#[path = "../checks/known_hosts.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
