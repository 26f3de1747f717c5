//! In: signs of life of a peer whose TCP connection is not ours. Out: when to ask for one, and when the peer is dead.
//! Never: sends anything, takes a peer for dead that never answered such a question.

use std::time::Duration;

use tokio::time::Instant;

use super::connection::{code, is_of_channel};

/// The question: a request that every server must answer, and that sshd refuses once a command runs. libssh2's own keepalive
/// would keep every answer for ever.
pub(super) const QUESTION: &str = "MIRRORLAG_PULSE";

/// Between the first look at a peer that is late and the second one, which decides.
const DOUBT: Duration = Duration::from_secs(1);

/// Behind a bastion the kernel tells nothing of the host: our TCP ends at the bastion. So the peer itself is asked.
#[derive(Debug)]
pub(super) struct Pulse {
    dead_after: Duration,
    ask_after: Duration,
    heard: Instant,
    /// When the question went out that is not answered yet.
    asked: Option<Instant>,
    /// Whether it ever answered one.
    answers: bool,
    /// It let one run into libssh2's own limit: nothing can be told from its silence.
    is_mute: bool,
    doubted: Option<Instant>,
}

impl Pulse {
    /// Of a host: asked when half of its time has gone.
    pub fn of_host(dead_after: Duration) -> Self {
        Self::new(dead_after, dead_after / 2)
    }

    /// Of a bastion: asked twice as often, so that it was heard since any host behind it was asked. Else a host's silence would
    /// be taken for the bastion's.
    pub fn of_bastion(dead_after: Duration) -> Self {
        Self::new(dead_after, dead_after / 4)
    }

    fn new(dead_after: Duration, ask_after: Duration) -> Self {
        Self {
            dead_after,
            ask_after,
            heard: Instant::now(),
            asked: None,
            answers: false,
            is_mute: false,
            doubted: None,
        }
    }

    /// Something came.
    pub fn hear(&mut self) {
        self.heard = Instant::now();
        self.doubted = None;
    }

    /// We did not listen: what was not heard says nothing.
    pub fn pause(&mut self) {
        self.hear();
        if let Some(asked) = &mut self.asked {
            *asked = self.heard;
        }
    }

    pub fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    pub fn asked(&self) -> Option<Instant> {
        self.asked
    }

    pub fn ask(&mut self) {
        self.asked.get_or_insert_with(Instant::now);
    }

    /// The question was answered, or is moot.
    pub fn answered(&mut self) {
        self.asked = None;
        self.answers = true;
        self.hear();
    }

    /// Whether anything came since the question.
    pub fn has_heard_since(&self) -> bool {
        self.asked.is_some_and(|asked| self.heard > asked)
    }

    /// There is nobody to ask now.
    pub fn forget(&mut self) {
        self.asked = None;
    }

    /// It does not know such questions.
    pub fn give_up(&mut self) {
        self.asked = None;
        self.is_mute = !self.answers;
    }

    /// When to look again: to ask, or to give the peer up.
    pub fn next(&self) -> Option<Instant> {
        match self.asked {
            None if self.is_mute => None,
            // The first question at once: from its answer on silence means something.
            None if !self.answers => Some(self.heard),
            None => Some(self.heard + self.ask_after),
            Some(_) if !self.answers => None,
            Some(asked) => Some(
                self.doubted
                    .map_or(self.dead_at(asked), |doubted| doubted + DOUBT),
            ),
        }
    }

    /// Whether it is dead by now.
    ///
    /// Looked at twice, `DOUBT` apart: after a time in which this process stood still, what came meanwhile is heard first.
    pub fn is_dead(&mut self) -> bool {
        let now = Instant::now();
        let is_late = self.answers && self.asked.is_some_and(|asked| self.dead_at(asked) <= now);
        if !is_late {
            self.doubted = None;
            return false;
        }
        *self.doubted.get_or_insert(now) + DOUBT <= now
    }

    fn dead_at(&self, asked: Instant) -> Instant {
        (self.heard + self.dead_after).max(asked + self.dead_after / 2) - DOUBT
    }
}

/// What became of a question.
pub(super) enum Answer {
    Came,
    Waits,
    /// libssh2 gave up waiting for it.
    Never,
}

/// What the outcome of a question says.
///
/// # Errors
/// The session is over.
pub(super) fn answer_of(outcome: Result<Option<()>, ssh2::Error>) -> Result<Answer, ssh2::Error> {
    match outcome {
        Ok(Some(())) => Ok(Answer::Came),
        Ok(None) => Ok(Answer::Waits),
        // A refusal is an answer.
        Err(error) if is_of_channel(&error) => Ok(Answer::Came),
        Err(error) if code(&error) == -9 => Ok(Answer::Never),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAD_AFTER: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_answered_once_and_then_falls_silent_is_dead_after_its_time() {
        let mut pulse = Pulse::of_host(DEAD_AFTER);
        assert_eq!(pulse.next(), Some(Instant::now()), "asked at once");
        pulse.ask();
        pulse.answered();
        tokio::time::advance(DEAD_AFTER / 2).await;
        assert_eq!(pulse.next(), Some(Instant::now()));
        pulse.ask();
        assert!(!pulse.is_dead());
        tokio::time::advance(DEAD_AFTER / 2 - DOUBT).await;
        assert!(!pulse.is_dead(), "looked at twice");
        assert_eq!(pulse.next(), Some(Instant::now() + DOUBT));
        tokio::time::advance(DOUBT).await;
        assert!(pulse.is_dead());
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_stood_still_hears_what_came_meanwhile_before_it_judges() {
        let mut pulse = Pulse::of_host(DEAD_AFTER);
        pulse.answered();
        pulse.ask();
        tokio::time::advance(DEAD_AFTER * 9).await;
        assert!(!pulse.is_dead());
        pulse.hear();
        tokio::time::advance(DOUBT).await;
        assert!(!pulse.is_dead());
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_is_heard_keeps_a_peer_alive() {
        let mut pulse = Pulse::of_host(DEAD_AFTER);
        pulse.answered();
        tokio::time::advance(DEAD_AFTER / 2).await;
        pulse.ask();
        for _ in 0..10 {
            tokio::time::advance(DEAD_AFTER / 2).await;
            pulse.hear();
            assert!(!pulse.is_dead());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_answers_such_questions_is_not_taken_for_dead() {
        let mut pulse = Pulse::of_host(DEAD_AFTER);
        pulse.ask();
        tokio::time::advance(DEAD_AFTER * 3).await;
        assert!(!pulse.is_dead());
        pulse.give_up();
        assert_eq!(pulse.next(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_in_which_we_did_not_listen_does_not_count() {
        let mut pulse = Pulse::of_host(DEAD_AFTER);
        pulse.answered();
        pulse.ask();
        tokio::time::advance(DEAD_AFTER * 2).await;
        pulse.pause();
        assert!(!pulse.is_dead());
    }

    #[tokio::test(start_paused = true)]
    async fn a_living_bastion_was_heard_since_the_question_that_a_dead_host_did_not_answer() {
        let moment = Duration::from_millis(1);
        let round_trip = moment * 5;
        // The two are asked at instants that have nothing to do with each other; some fall badly.
        for lead in 0..20 {
            let mut bastion = Pulse::of_bastion(DEAD_AFTER);
            bastion.answered();
            tokio::time::advance(moment * lead).await;
            let mut host = Pulse::of_host(DEAD_AFTER);
            host.answered();
            while !host.is_dead() {
                tokio::time::advance(moment).await;
                let now = Instant::now();
                if bastion.next().is_some_and(|at| at <= now) {
                    bastion.ask();
                }
                if bastion.asked().is_some_and(|at| at + round_trip <= now) {
                    bastion.answered();
                }
                if host.next().is_some_and(|at| at <= now) {
                    host.ask();
                }
            }
            assert!(host.asked().is_some_and(|asked| bastion.heard > asked));
        }
    }
}
