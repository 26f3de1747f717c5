//! In: places of a file and what is wrong there. Out: all of it, in the order of the file, one line each.
//! Never: stops at the first problem.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

/// Where something stands in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// From 1; 0 is the file as a whole.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Path of the key, as `mirror_hosts.mm-1.port` or `topics[0].group`, from 0; empty for the file as a whole.
    pub key: String,
}

/// One thing that is wrong in a configuration: where, what, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    pub place: Place,
    pub what: String,
    pub mend: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "")
    }
}

impl Problem {
    fn write(&self, f: &mut fmt::Formatter<'_>, label: &str) -> fmt::Result {
        let mut text = format!("{}:", self.file.display());
        if self.place.line > 0 {
            text += &format!("{}:{}:", self.place.line, self.place.column);
        }
        text.push_str(label);
        if !self.place.key.is_empty() {
            text += &format!(" {}:", self.place.key);
        }
        text += &format!(" {}; {}", self.what, self.mend);
        // A key or a name of the file may hold anything: a line end would forge a second problem, an escape sequence the terminal.
        text.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_default()),
            false => f.write_char(c),
        })
    }
}

/// Every problem of a configuration that cannot be used; `Display` is one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// In the order of the file; never empty.
    pub errors: Vec<Problem>,
    /// What would have been said of a file without errors, as far as it could be seen.
    pub warnings: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.errors.iter().map(|problem| ("", problem));
        let warnings = self.warnings.iter().map(|problem| (" warning:", problem));
        for (index, (label, problem)) in errors.chain(warnings).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            problem.write(f, label)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Witness that a problem was reported: whoever holds it need not report that a value is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reported;

/// Collects the problems of one file.
#[derive(Debug)]
pub(super) struct Report {
    file: PathBuf,
    errors: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl Report {
    pub fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            errors: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// Something that keeps the program from starting.
    pub fn error(
        &self,
        place: &Place,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Reported {
        self.push(&self.errors, place, what.into(), mend.into());
        Reported
    }

    /// Something that works, but is most likely not what the operator wants.
    pub fn warn(&self, place: &Place, what: impl Into<String>, mend: impl Into<String>) {
        self.push(&self.warnings, place, what.into(), mend.into());
    }

    /// The warnings of a usable configuration.
    ///
    /// # Errors
    /// At least one error was reported.
    pub fn finish(self) -> Result<Vec<Problem>, Problems> {
        let errors = in_order(self.errors);
        let warnings = in_order(self.warnings);
        if errors.is_empty() {
            return Ok(warnings);
        }
        Err(Problems { errors, warnings })
    }

    fn push(&self, list: &RefCell<Vec<Problem>>, place: &Place, what: String, mend: String) {
        let problem = Problem {
            file: self.file.clone(),
            place: place.clone(),
            what,
            mend,
        };
        let mut list = list.borrow_mut();
        // A value of `defaults` is judged once per host that inherits it.
        if !list.contains(&problem) {
            list.push(problem);
        }
    }
}

fn in_order(list: RefCell<Vec<Problem>>) -> Vec<Problem> {
    let mut problems = list.into_inner();
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    problems
}
