//! In: how a command ended. Out: the documented exit code.
//! Never: exits.

use std::process::ExitCode;

/// The exit codes of every command; the README lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Done,
    /// `once`: a topic brought no numbers. `check`: a link does not work. `status`: something is unhealthy. `letters`, `migrate`,
    /// `prune`: not all was done.
    Partial,
    /// The command line or the configuration is wrong, or a journal that was to be looked into cannot be read; nothing was started.
    Configuration,
    /// `run` could not start: the journal or a sink's settings do not allow it.
    NotStarted,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Partial => 1,
            Self::Configuration => 2,
            Self::NotStarted => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_the_readme_promises() {
        let codes = [
            Exit::Done,
            Exit::Partial,
            Exit::Configuration,
            Exit::NotStarted,
        ]
        .map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 3]);
    }
}
