//! E-mails as promises: which revision a recipient gets, when a failed try is repeated, and when it is given up.
//!
//! An e-mail is (DAG, logical date, audience, recipient) with revisions 0, 1, 2 …; the audience is the job that writes
//! it. A slot promises the next revision before its night begins; a digest fills it, or a notice at the deadline. An
//! e-mail that was handed over is corrected only if the verdict or the failed jobs change; one that still waits is
//! replaced by the next revision. The Message-ID is the same for every try of a revision and never contains the
//! address. What says how things stand now (`All is well`) is not sent once a later night has said more. Pure: the store
//! writes what is decided here, within one transaction.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dag::Dag;
use super::ids::{DagName, content_hash};
use super::schedule::{self, Slot};

/// What the address of a webhook begins with: its name in the configuration follows. No e-mail address has it.
const WEBHOOK: &str = "webhook:";

/// How long an e-mail is tried before it is given up.
pub const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(48);

/// The wait after the first failed try; it doubles after each further one.
const FIRST_WAIT: SignedDuration = SignedDuration::from_mins(5);

/// The longest wait between two tries.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(5);

/// The audience of the e-mail that tells operators whom an e-mail could not be delivered to. No job can have this name.
pub const UNDELIVERED: &str = "_undelivered";

/// An e-mail: of which night, from which job, to whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MailKey {
    /// The DAG.
    pub dag: DagName,
    /// The logical date.
    pub logical_date: Date,
    /// The job that writes it; it identifies the readers.
    pub audience: String,
    /// The recipient's address in lower case.
    pub recipient: String,
}

/// One revision of an e-mail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MailId {
    /// The e-mail.
    pub key: MailKey,
    /// Its revision, from 0.
    pub revision: u32,
}

/// A recipient of an e-mail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Recipient {
    /// The address of the envelope.
    pub address: String,
    /// The finished `To` header, with its line break: the name in it is encoded.
    pub header: String,
}

/// An e-mail that a slot promises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedMail {
    /// The job that must write it.
    pub audience: String,
    /// Who gets it.
    pub recipient: Recipient,
    /// When a notice is sent in its place.
    pub deadline: Option<Timestamp>,
}

/// What has become of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// It is promised and has no body yet.
    Expected,
    /// It waits to be handed over.
    Waiting,
    /// It was handed over.
    Sent,
    /// Another revision has taken its place before it was handed over.
    Replaced,
    /// It was refused for good, or tried for too long.
    GivenUp,
}

/// The state of a night, as the subject of its e-mail says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// A digest: all is well.
    Ok,
    /// A digest: somebody should look at something.
    Look,
    /// A digest: a job failed.
    Failed,
    /// A notice: the night is not done at its deadline.
    Late,
    /// A notice: the night is over and has no digest.
    NoDigest,
    /// A notice: the night never began.
    NeverBegan,
    /// A notice: the state of the night cannot be read.
    Unknown,
    /// A route's news of alerts; it says nothing about the night as a whole.
    Alerts,
    /// A notice to operators: an e-mail was refused, or given up.
    Undelivered,
}

/// What a revision says, as far as a change in it is worth another e-mail.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Signature {
    /// The verdict.
    pub word: Word,
    /// The jobs that failed, sorted; of undelivered e-mails their masked recipients.
    pub failed_jobs: Vec<String>,
}

/// An e-mail of a night that was handed over, as the next one for the same night sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierEmail {
    /// What it said.
    pub signature: Signature,
    /// Its subject.
    pub subject: String,
    /// When it was handed over.
    pub at: Timestamp,
}

/// A revision as a decision sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its number.
    pub number: u32,
    /// Its state.
    pub state: MailState,
    /// What it says; `None` while it is expected, and where an earlier version of the program did not record it.
    pub signature: Option<Signature>,
    /// Whether a conversation about it has begun and its end is not known.
    pub is_sending: bool,
}

/// Which run a digest comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bringer {
    /// The run to which the promise was made, or any run if that one is over or there is none.
    Promised,
    /// Another one, while the run with the promise is still open.
    Another,
}

/// What to do with an e-mail for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// There is nothing new to say.
    Nothing,
    /// The promise ends without an e-mail: what it would say has been said.
    Close {
        /// The expected revision.
        revision: u32,
    },
    /// This revision waits to be handed over.
    Deliver {
        /// Its number; the row exists already if the revision was expected.
        revision: u32,
        /// Those that were handed over before, or may have been, oldest first: it corrects the last one.
        corrects: Vec<u32>,
        /// Those that it replaces.
        replaces: Vec<u32>,
        /// The revision that is promised from now on instead.
        promises: Option<u32>,
    },
}

/// Why a try failed, as far as it matters for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// It may work later.
    Transient,
    /// The server refuses this sender, recipient or message for good, or the address is not valid.
    Permanent,
}

/// What to do with an e-mail that is due, before a server hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Try to hand it over.
    Try,
    /// Nothing any more: it has waited for too long.
    GiveUp,
    /// Nothing any more: the e-mail for this later date, written after it, knows better.
    Overtaken(Date),
}

/// What follows a failed try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextTry {
    /// Another one.
    At(Timestamp),
    /// None.
    GiveUp,
}

impl Recipient {
    /// Returns the recipient that stands for a webhook of the configuration.
    pub fn webhook(name: &str) -> Self {
        Self { address: format!("{WEBHOOK}{name}"), header: String::new() }
    }

    /// Returns the address as rows store it.
    pub fn key(&self) -> String {
        self.address.to_ascii_lowercase()
    }
}

impl MailId {
    /// Returns the permanent Message-ID of this revision, without angle brackets; `domain` is the sender's.
    pub fn message_id(&self, domain: &str) -> String {
        let MailKey { dag, logical_date, audience, recipient } = &self.key;
        let whom = content_hash(format!("{dag}\n{logical_date}\n{audience}\n{recipient}").as_bytes());
        format!("{dag}.{logical_date}.{audience}.{}.{}@{domain}", &whom[..16], self.revision)
    }
}

impl MailState {
    /// Returns the word by which it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Replaced => "replaced",
            Self::GivenUp => "given_up",
        }
    }
}

impl Word {
    /// Returns the word by which it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Look => "look",
            Self::Failed => "failed",
            Self::Late => "late",
            Self::NoDigest => "no_digest",
            Self::NeverBegan => "never_began",
            Self::Unknown => "unknown",
            Self::Alerts => "alerts",
            Self::Undelivered => "undelivered",
        }
    }

    /// Returns whether it says how things stand at the time of writing, which a later night's e-mail knows better. What
    /// happened in a night, or what somebody must do about it, stays true.
    pub const fn is_overtaken(self) -> bool {
        matches!(self, Self::Ok | Self::Late | Self::Unknown)
    }

    /// Returns whether it is a digest's.
    pub const fn is_digest(self) -> bool {
        matches!(self, Self::Ok | Self::Look | Self::Failed)
    }

    /// Returns whether the night is done and none of its jobs failed.
    pub const fn is_well(self) -> bool {
        matches!(self, Self::Ok | Self::Look)
    }
}

impl Signature {
    /// Returns the signature of a verdict and the jobs that failed, in whatever order.
    pub fn new(word: Word, mut failed_jobs: Vec<String>) -> Self {
        failed_jobs.sort();
        failed_jobs.dedup();
        Self { word, failed_jobs }
    }
}

/// Returns the name of the webhook that an address stands for; `None` for an e-mail address.
pub fn webhook_of(address: &str) -> Option<&str> {
    address.strip_prefix(WEBHOOK)
}

/// Returns the revision that a slot promises, given the existing ones; `None` if one is promised already.
pub fn promise(there: &[Revision]) -> Option<u32> {
    match newest(there) {
        Some(newest) if newest.state == MailState::Expected => None,
        Some(newest) => Some(newest.number + 1),
        None => Some(0),
    }
}

/// Returns what a digest with that signature does.
///
/// A promised revision is filled whatever it says. Without a promise, an e-mail that waits or was handed over is
/// followed by another one only if that says something else (what is not known counts as the same); one that was given
/// up is followed in any case.
/// A digest from another run than the one with the promise takes the promised number and promises the next one, so
/// that a trial does not use up the night's digest.
pub fn on_digest(there: &[Revision], signature: &Signature, bringer: Bringer) -> Decision {
    let Some(newest) = newest(there) else {
        return deliver(there, 0, None);
    };
    if newest.state == MailState::Expected {
        let promises = (bringer == Bringer::Another).then_some(newest.number + 1);
        return deliver(there, newest.number, promises);
    }
    let says_the_same =
        last_said(there).is_some_and(|last| last.signature.as_ref().is_none_or(|said| said == signature));
    if says_the_same { Decision::Nothing } else { deliver(there, newest.number + 1, None) }
}

/// Returns what a notice does at the deadline: it fills a promise, unless the last e-mail said the same.
pub fn on_notice(there: &[Revision], signature: &Signature) -> Decision {
    match newest(there) {
        Some(newest) if newest.state == MailState::Expected => {
            if last_said(there).is_some_and(|last| last.signature.as_ref() == Some(signature)) {
                return Decision::Close { revision: newest.number };
            }
            deliver(there, newest.number, None)
        }
        _ => Decision::Nothing,
    }
}

/// Returns what to do with an e-mail that is due: `word` is what it says, `newer` the latest date after its own for which
/// its recipient was written the same kind of e-mail after this one.
pub fn turn(word: Option<Word>, newer: Option<Date>, waits_since: Timestamp, now: Timestamp) -> Turn {
    match newer {
        Some(date) if word.is_some_and(Word::is_overtaken) => Turn::Overtaken(date),
        _ if now.duration_since(waits_since) > GIVE_UP_AFTER => Turn::GiveUp,
        _ => Turn::Try,
    }
}

/// Returns what follows failed try number `tries` (from 1) of an e-mail that has waited since `waits_since`.
pub fn next_try(tries: u32, refusal: Refusal, waits_since: Timestamp, now: Timestamp) -> NextTry {
    let last = waits_since.checked_add(GIVE_UP_AFTER).unwrap_or(Timestamp::MAX);
    if refusal == Refusal::Permanent || now >= last {
        return NextTry::GiveUp;
    }
    let doublings = tries.saturating_sub(1).min(10);
    let wait = (FIRST_WAIT * (1 << doublings)).min(LONGEST_WAIT);
    NextTry::At(now.checked_add(wait).unwrap_or(last).min(last))
}

/// Returns when the e-mail of a slot must have been sent: the first time after the slot at which the clocks of the
/// DAG's zone show its `deadline`; `None` if it has none. A time that the clocks jump over is the instant at which the
/// jump ends.
pub fn deadline_of(dag: &Dag, slot: &Slot) -> Option<Timestamp> {
    let zone = schedule::parse_zone(&dag.timezone).ok()?;
    let time = dag.deadline?;
    let local = slot.at.to_zoned(zone.clone());
    let on = |date: Date| date.to_datetime(time).to_zoned(zone.clone()).ok().map(|at| at.timestamp());
    on(local.date()).filter(|at| *at > slot.at).or_else(|| on(local.date().tomorrow().ok()?))
}

fn newest(there: &[Revision]) -> Option<&Revision> {
    there.iter().max_by_key(|revision| revision.number)
}

/// Returns the last revision that its recipient has or is about to get, unless a later one was given up.
fn last_said(there: &[Revision]) -> Option<&Revision> {
    let said = [MailState::Waiting, MailState::Sent, MailState::GivenUp];
    let last = there.iter().filter(|revision| said.contains(&revision.state)).max_by_key(|revision| revision.number);
    last.filter(|revision| revision.state != MailState::GivenUp)
}

fn is_handed_over(revision: &Revision) -> bool {
    revision.state == MailState::Sent || revision.is_sending
}

fn deliver(there: &[Revision], revision: u32, promises: Option<u32>) -> Decision {
    let numbers = |is: &dyn Fn(&Revision) -> bool| {
        let mut numbers: Vec<u32> = there.iter().filter(|old| is(old)).map(|old| old.number).collect();
        numbers.sort_unstable();
        numbers
    };
    Decision::Deliver {
        revision,
        corrects: numbers(&is_handed_over),
        // What is being sent to a server at this moment cannot be taken back.
        replaces: numbers(&|old| old.state == MailState::GivenUp || old.state == MailState::Waiting && !old.is_sending),
        promises,
    }
}

#[cfg(test)]
mod tests;
