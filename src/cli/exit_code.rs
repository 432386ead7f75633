//! The exit codes: a documented, pinned table that scripts rely on.

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitCode {
    /// Done.
    Done = 0,
    /// The run finished and failed.
    RunFailed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A configuration or a DAG is invalid.
    Invalid = 3,
    /// What was asked for does not exist.
    NotFound = 4,
    /// Refused: a gate, an overlap, a paused DAG, a duplicate.
    Refused = 5,
    /// The store, the lake or the daemon cannot be reached.
    Unreachable = 6,
    /// A deadline or a time limit passed while waiting.
    TimedOut = 7,
    /// Another scheduler owns the data folder.
    Owned = 8,
    /// Finished with warnings: stale input, degraded, quarantined rows, a promotion refused (`--strict` makes it 1).
    Warnings = 9,
    /// Interrupted (Ctrl-C).
    Interrupted = 130,
    /// Terminated (SIGTERM).
    Terminated = 143,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::ExitCode;

    #[test]
    fn the_codes_are_those_that_scripts_rely_on() {
        let pinned = [
            (ExitCode::Done, 0),
            (ExitCode::RunFailed, 1),
            (ExitCode::Usage, 2),
            (ExitCode::Invalid, 3),
            (ExitCode::NotFound, 4),
            (ExitCode::Refused, 5),
            (ExitCode::Unreachable, 6),
            (ExitCode::TimedOut, 7),
            (ExitCode::Owned, 8),
            (ExitCode::Warnings, 9),
            (ExitCode::Interrupted, 130),
            (ExitCode::Terminated, 143),
        ];
        for (code, number) in pinned {
            assert_eq!(code as u8, number, "{code:?}");
        }
    }
}
