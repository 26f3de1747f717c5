//! Tests on real parts: OpenSSH, Kafka with MirrorMaker, Elasticsearch. `tests/run` starts them.

fn main() {}
