#![no_main]

#[path = "../checks/table_in_pieces.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
