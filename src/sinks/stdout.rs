//! In: a batch of samples. Out: their documents as JSON lines on standard output.
//! Never: writes half a line of a batch it reports as stored.

use tokio::io::AsyncWriteExt;

use super::{Fate, NotReady, Reply, Sink, document};
use crate::sample::Sample;

/// The sink's name in the configuration.
pub const NAME: &str = "stdout";

/// The sink `stdout`: one document per line.
#[derive(Debug)]
pub struct Stdout {
    out: tokio::io::Stdout,
    /// Whoever read our output went away, as `head` does: from then on there is nothing to write to.
    is_gone: bool,
}

impl Stdout {
    /// A sink that writes to this process's standard output.
    pub fn new() -> Self {
        Self {
            out: tokio::io::stdout(),
            is_gone: false,
        }
    }

    async fn write(&mut self, lines: &[u8]) -> std::io::Result<()> {
        self.out.write_all(lines).await?;
        self.out.flush().await
    }
}

impl Default for Stdout {
    fn default() -> Self {
        Self::new()
    }
}

impl Sink for Stdout {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn prepare(&mut self) -> Result<(), NotReady> {
        Ok(())
    }

    async fn deliver(&mut self, batch: &[Sample]) -> Reply {
        // A closed pipe ends the output quietly, and the records are not kept for it: nobody will read this pipe again.
        if self.is_gone {
            return Reply::all(Fate::Stored, batch.len());
        }
        let mut lines = Vec::new();
        for sample in batch {
            document::write(&mut lines, sample);
            lines.push(b'\n');
        }
        let fate = match self.write(&lines).await {
            Ok(()) => Fate::Stored,
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                self.is_gone = true;
                Fate::Stored
            }
            Err(error) => Fate::Retry(format!("cannot write to standard output: {error}")),
        };
        Reply::all(fate, batch.len())
    }
}
