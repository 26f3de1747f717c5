//! In: findings of several checkers, mixed. Out: the same findings, those of one checker together, as early as that allows.
//! Never: drops a finding, waits.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Finding;

/// Whose turn it is: the first that has something to say speaks until it is done, the others wait.
#[derive(Debug, Default)]
pub(super) struct Turns {
    speaking: Option<usize>,
    waiting: BTreeMap<usize, Vec<Finding>>,
    done: BTreeSet<usize>,
}

impl Turns {
    /// Takes a finding of checker `number`; `None`: it has nothing more to say.
    pub fn take(
        &mut self,
        number: usize,
        finding: Option<Finding>,
        on_finding: &mut (dyn FnMut(Finding) + Send),
    ) {
        match finding {
            Some(finding) if *self.speaking.get_or_insert(number) == number => on_finding(finding),
            Some(finding) => self.waiting.entry(number).or_default().push(finding),
            None if self.speaking == Some(number) => {
                self.speaking = None;
                self.next_turn(on_finding);
            }
            None => {
                self.done.insert(number);
            }
        }
    }

    /// Hands over what still waits.
    pub fn finish(self, on_finding: &mut (dyn FnMut(Finding) + Send)) {
        self.waiting.into_values().flatten().for_each(on_finding);
    }

    /// All who are done say all they have; then the first who is not has the turn.
    fn next_turn(&mut self, on_finding: &mut (dyn FnMut(Finding) + Send)) {
        for number in std::mem::take(&mut self.done) {
            let said = self.waiting.remove(&number).unwrap_or_default();
            said.into_iter().for_each(&mut *on_finding);
        }
        if let Some((number, said)) = self.waiting.pop_first() {
            self.speaking = Some(number);
            said.into_iter().for_each(on_finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::finding::Verdict;

    fn heard(events: &[(usize, &str)]) -> String {
        let mut heard = Vec::new();
        let mut hear = |finding: Finding| heard.push(finding.subject);
        let mut turns = Turns::default();
        for (number, text) in events {
            let finding = (!text.is_empty()).then(|| Finding {
                subject: (*text).to_owned(),
                link: "tcp",
                verdict: Verdict::Passed(String::new()),
                took: Duration::ZERO,
            });
            turns.take(*number, finding, &mut hear);
        }
        turns.finish(&mut hear);
        heard.join(" ")
    }

    #[test]
    fn what_one_checker_finds_stays_together() {
        let events = [
            (1, "b1"),
            (0, "a1"),
            (1, "b2"),
            (0, "a2"),
            (1, ""),
            (0, "a3"),
            (0, ""),
        ];
        assert_eq!(heard(&events), "b1 b2 a1 a2 a3");
    }

    #[test]
    fn those_who_are_done_come_before_those_who_are_not() {
        let events = [
            (0, "a1"),
            (1, "b1"),
            (2, "c1"),
            (2, ""),
            (0, ""),
            (1, "b2"),
            (1, ""),
        ];
        assert_eq!(heard(&events), "a1 c1 b1 b2");
    }

    #[test]
    fn a_checker_that_never_ends_hides_nothing() {
        assert_eq!(heard(&[(0, "a1"), (1, "b1"), (2, "c1")]), "a1 b1 c1");
        assert_eq!(heard(&[(0, ""), (1, "b1")]), "b1");
    }
}
