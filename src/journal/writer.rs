//! In: pieces of work that change the journal, from any task. Out: each one's result, once it is on disk.
//! Never: answers before the commit, lets a piece that fails take others with it, knows a table.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::error::{Cause, Error};
use super::identity::Identity;
use super::lock::Lock;
use super::reserve::Reserve;

/// Pieces of work that may wait for the disk; a task that brings one more waits itself, which bounds memory.
const WAITING_MAX: usize = 1024;

/// Pieces of work in one transaction: enough to make one disk sync cheap, few enough that it stays short.
const GROUP_MAX: usize = 256;

/// The handle of the thread that alone writes to the journal.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    waiting: mpsc::Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread looks at before it writes.
pub(super) struct Disk {
    pub identity: Arc<Identity>,
    pub reserve: Reserve,
}

enum Message {
    Work(Box<dyn Work>),
    /// Everything that was accepted before is written, then the thread ends.
    Close,
}

/// One piece of work; it may run twice, so it must not consume what it is made of.
trait Work: Send {
    fn run(&mut self, connection: &Connection) -> Result<(), Cause>;
    /// Whether it only takes space; what frees space, or lets it be freed, may use the reserve.
    fn adds(&self) -> bool;
    /// Answers whoever waits. `Ok`: what `run` found is on disk.
    fn finish(self: Box<Self>, end: Result<(), Cause>);
}

struct Piece<T, F> {
    run: F,
    adds: bool,
    found: Option<T>,
    path: PathBuf,
    answer: oneshot::Sender<Result<T, Error>>,
}

impl Writer {
    /// Starts the thread. `after_commit` runs on it after each transaction that is on disk.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(super) fn start(
        path: PathBuf,
        connection: Connection,
        lock: Lock,
        disk: Disk,
        after_commit: impl FnMut(&Connection) + Send + 'static,
    ) -> Result<Writer, Error> {
        let (waiting, inbox) = mpsc::channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                serve(&connection, inbox, disk, after_commit);
                // The lock must outlive the connection, or a second process could open a file that is still being written.
                drop(connection);
                drop(lock);
            })
            .map_err(|error| Cause::Open(error).at(&path))?;
        Ok(Writer {
            path,
            waiting,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Runs `run` in the next transaction and returns what it found when that is on disk.
    ///
    /// On a full disk it has the reserve. A caller that is dropped while it waits does not learn the end; the work is done all
    /// the same.
    pub(super) async fn write<T, F>(&self, run: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Cause> + Send + 'static,
    {
        self.hand_over(false, run).await
    }

    /// The same for what only takes space: it never has the reserve.
    pub(super) async fn add<T, F>(&self, run: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Cause> + Send + 'static,
    {
        self.hand_over(true, run).await
    }

    async fn hand_over<T, F>(&self, adds: bool, run: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Cause> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let piece = Piece {
            run,
            adds,
            found: None,
            path: self.path.clone(),
            answer,
        };
        let closed = || Cause::Closed.at(&self.path);
        let message = Message::Work(Box::new(piece));
        self.waiting.send(message).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Waits until everything accepted is written and the file is closed and unlocked.
    pub(super) async fn close(&self) {
        // An error means that the thread has ended already.
        let _already_ended = self.waiting.send(Message::Close).await;
        let thread = self.thread.lock().ok().and_then(|mut slot| slot.take());
        if let Some(thread) = thread {
            let _joined = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl<T, F> Work for Piece<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> Result<T, Cause> + Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), Cause> {
        self.found = Some((self.run)(connection)?);
        Ok(())
    }

    fn adds(&self) -> bool {
        self.adds
    }

    fn finish(self: Box<Self>, end: Result<(), Cause>) {
        let result = match (end, self.found) {
            (Ok(()), Some(found)) => Ok(found),
            (Ok(()), None) => Err(Cause::Closed.at(&self.path)),
            (Err(cause), _) => Err(cause.at(&self.path)),
        };
        // The caller may have been dropped; then nobody waits for the answer.
        let _nobody_waits = self.answer.send(result);
    }
}

fn serve(
    connection: &Connection,
    mut inbox: mpsc::Receiver<Message>,
    mut disk: Disk,
    mut after_commit: impl FnMut(&Connection),
) {
    let mut is_open = true;
    while is_open {
        let mut group = Vec::new();
        let mut next = inbox.blocking_recv();
        is_open = next.is_some();
        while let Some(message) = next {
            match message {
                Message::Work(work) => group.push(work),
                Message::Close => {
                    is_open = false;
                    break;
                }
            }
            if group.len() == GROUP_MAX {
                break;
            }
            next = inbox.try_recv().ok();
        }
        if let Err(cause) = disk.identity.check() {
            // Every piece has its own answer; the first says why, the text is the same for all.
            refuse(group, &cause);
            continue;
        }
        let group = admit(group, &mut disk.reserve);
        commit(connection, group, &mut disk.reserve, &mut after_commit);
    }
}

fn refuse(group: Vec<Box<dyn Work>>, cause: &Cause) {
    for work in group {
        work.finish(Err(match cause {
            Cause::Gone => Cause::Gone,
            Cause::DiskFull => Cause::DiskFull,
            other => Cause::Write(other.to_string()),
        }));
    }
}

/// While the reserve is spent, what only takes space is refused: it would be gone before retention could use it.
fn admit(group: Vec<Box<dyn Work>>, reserve: &mut Reserve) -> Vec<Box<dyn Work>> {
    if !group.iter().any(|work| work.adds()) || reserve.lets_add() {
        return group;
    }
    let (adding, rest) = group.into_iter().partition(|work| work.adds());
    refuse(adding, &Cause::DiskFull);
    rest
}

/// One transaction for all; when that fails, one for each, so that only those fail that cannot be done.
fn commit(
    connection: &Connection,
    mut group: Vec<Box<dyn Work>>,
    reserve: &mut Reserve,
    after_commit: &mut impl FnMut(&Connection),
) {
    if group.is_empty() {
        return;
    }
    match transaction(connection, &mut group) {
        Ok(()) => {
            after_commit(connection);
            for work in group {
                work.finish(Ok(()));
            }
        }
        Err(Cause::DiskFull)
            if group.len() == 1 && !group.iter().any(|work| work.adds()) && reserve.release() =>
        {
            commit(connection, group, reserve, after_commit);
        }
        Err(cause) if group.len() == 1 => {
            if let Some(work) = group.pop() {
                work.finish(Err(cause));
            }
        }
        Err(_) => {
            for work in group {
                commit(connection, vec![work], reserve, after_commit);
            }
        }
    }
}

fn transaction(connection: &Connection, group: &mut [Box<dyn Work>]) -> Result<(), Cause> {
    let mut run = || -> Result<(), Cause> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for work in group.iter_mut() {
            work.run(connection)?;
        }
        connection.execute_batch("COMMIT")?;
        Ok(())
    };
    run().inspect_err(|_| {
        // A full disk may have rolled back already; then there is nothing left to undo.
        if !connection.is_autocommit() {
            let _undone = connection.execute_batch("ROLLBACK");
        }
    })
}
