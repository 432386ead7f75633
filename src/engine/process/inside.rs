//! Attempts in child processes, as the child sees them.
//!
//! The child limits its own memory, listens to its parent in a thread of its own (so that nothing a body does can stop
//! it), and ends at once when the parent's pipe closes: an orphan does no work that will never be committed.

use std::io::{self, BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use super::protocol::{self, Ended, Order, Report, ToChild, ToParent};
use crate::domain::fingerprint::Why;
use crate::domain::outcome::{JobError, Outcome};
use crate::engine::runner::{Parts, Runners};
use crate::engine::thread;
use crate::telemetry::peak_memory_bytes;

/// The exit code of a child whose parent is gone.
const ORPHANED: i32 = 113;

/// Reads the order that this process's parent sends, and limits this process accordingly.
///
/// # Errors
/// When the input is not an order, or the limits cannot be set.
pub fn read_order() -> io::Result<Order> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let order: Order = serde_json::from_str(&line)?;
    // A limit that is already stricter is kept.
    let limit = getrlimit(Resource::Data).maximum.map_or(order.data_bytes, |given| given.min(order.data_bytes));
    setrlimit(Resource::Data, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    // Its memory contains secrets: other processes of the same user must not read it, and it must leave no core dump.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(order)
}

/// Does what the order says, with the kinds that `runners` finds, and stages the result.
///
/// # Errors
/// When that could not be written: the parent then says that the attempt was lost.
pub async fn carry_out(order: Order, runners: anyhow::Result<Arc<dyn Runners>>) -> io::Result<()> {
    let cancel = CancellationToken::new();
    let (answers, answered) = unbounded_channel();
    listen(cancel.clone(), answers)?;
    let parts = Arc::new(PipedParts {
        results: order.results.clone(),
        number: AtomicU32::new(0),
        answered: Mutex::new(answered),
    });
    let ended = match runners {
        Ok(runners) => match thread::work(&*runners, order.assignment, parts, cancel).await {
            Ok(done) => Ended::Done(Box::new(done)),
            Err(error) => Ended::Wrong(error.into()),
        },
        Err(error) => Ended::Wrong(JobError::Fail(error).into()),
    };
    protocol::stage(&protocol::outcome_file(&order.results), &Report { ended, peak_bytes: peak_memory_bytes() })
}

/// Listens to the parent until it is gone; then ends this process, whatever it is doing.
fn listen(cancel: CancellationToken, answers: UnboundedSender<ToChild>) -> io::Result<()> {
    let listener = std::thread::Builder::new().name("parent".to_owned());
    listener.spawn(move || {
        for line in io::stdin().lock().lines() {
            match line.map(|line| serde_json::from_str(&line)) {
                Ok(Ok(ToChild::Cancel)) => cancel.cancel(),
                // A body that has moved on in the meantime does not wait for the answer.
                Ok(Ok(answer)) => answers.send(answer).unwrap_or_default(),
                Ok(Err(_)) | Err(_) => break,
            }
        }
        std::process::exit(ORPHANED);
    })?;
    Ok(())
}

/// Sends a message to the parent.
fn say(message: &ToParent) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(message)?)?;
    stdout.flush()
}

/// Hands parts over through a file and the pipe, one after the other.
struct PipedParts {
    results: PathBuf,
    number: AtomicU32,
    answered: Mutex<UnboundedReceiver<ToChild>>,
}

#[async_trait]
impl Parts for PipedParts {
    fn note_why(&self, why: Why) {
        // If the pipe is broken, the parent is gone, and `listen` ends this process.
        say(&ToParent::Why(why)).unwrap_or_default();
    }

    async fn commit(&self, name: &str, part: Outcome) -> Result<(), JobError> {
        let mut answered = self.answered.lock().await;
        let number = self.number.fetch_add(1, Ordering::SeqCst) + 1;
        let staged = protocol::stage(&protocol::part_file(&self.results, number), &part);
        let said = staged.and_then(|()| say(&ToParent::Part { number, name: name.to_owned() }));
        said.map_err(|error| JobError::Retry(anyhow::Error::new(error).context("handing a part of the outcome over")))?;
        match answered.recv().await {
            Some(ToChild::PartTaken) => Ok(()),
            Some(ToChild::PartRefused(wrong)) => Err(wrong.into()),
            Some(ToChild::Cancel) | None => Err(JobError::Cancelled),
        }
    }
}
